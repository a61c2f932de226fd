/** What kind of machine this is, as its firmware says: SMBIOS on PCs, the device tree elsewhere. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { printable } from '../../core/errors.ts';

/** Characters. */
const most = 256;

/** Undefined if neither says anything. @param root where sysfs is mounted */
export async function readHardware(root = '/sys'): Promise<string | undefined> {
  const read = async (...names: readonly string[]) =>
    (await readFile(join(root, ...names), 'utf8').catch(() => '')).replaceAll('\0', '').trim();
  const dmi = await Promise.all(
    ['sys_vendor', 'product_name', 'product_version'].map((name) => read('class/dmi/id', name)),
  );
  const model = dmi.filter((part) => part !== '').join(' ') || (await read('firmware/devicetree/base/model'));
  return model === '' ? undefined : printable(model).slice(0, most);
}
