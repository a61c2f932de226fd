/** Reads the menus that NixOS’s boot builders write: systemd-boot (and lanzaboote’s images), GRUB, extlinux, Limine. */
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { insteadOf } from '../core/errno.ts';
import type { BootEntry, BootLoader, BootMenu } from '../core/run/boot-menu.ts';
import { parseStorePath } from '../core/store-path.ts';
import { namesIn } from '../files/read.ts';

/** Systemd-boot’s builder opens it for writing only if it is missing (nixpkgs, write_loader_conf). */
export const leftover = (bootDirectory: string): string => join(bootDirectory, 'loader/loader.tmp');

const readText = (path: string) => readFile(path, 'utf8').catch(insteadOf(['ENOENT', 'ENOTDIR'], undefined));

/** The menus in a boot directory; missing ones are left out. A part that can’t be understood is not an entry. */
export async function readBootMenus(bootDirectory: string): Promise<BootMenu[]> {
  const menus = await Promise.all([
    readSystemdBoot(bootDirectory),
    readOne(join(bootDirectory, 'grub/grub.cfg'), 'grub', parseGrub),
    readOne(join(bootDirectory, 'extlinux/extlinux.conf'), 'extlinux', parseExtlinux),
    readOne(join(bootDirectory, 'limine/limine.conf'), 'limine', parseLimine),
  ]);
  return menus.filter((m) => m !== undefined);
}

async function readOne(
  path: string,
  loader: BootLoader,
  parse: (text: string) => Omit<BootMenu, 'loader'>,
): Promise<BootMenu | undefined> {
  const text = await readText(path);
  return text === undefined ? undefined : { loader, ...parse(text) };
}

/** The system whose `init` a kernel command line starts; the text may end right after it. */
function entryOf(name: string, commandLine: string): BootEntry | undefined {
  const init = /(?:^|\s)init=(\/nix\/store\/[^\s/]+)\/init(?=[\s\0]|$)/.exec(commandLine)?.[1];
  const system = init === undefined ? undefined : parseStorePath(init);
  return system === undefined ? undefined : { name, system };
}

/** systemd-boot(7), loader.conf(5), Boot Loader Specification: `+left-done` in a file’s name counts tries, and is not part of its id. */
async function readSystemdBoot(bootDirectory: string): Promise<BootMenu | undefined> {
  const conf = await readText(join(bootDirectory, 'loader/loader.conf'));
  if (conf === undefined) return undefined;
  const folder = join(bootDirectory, 'loader/entries');
  const entries: BootEntry[] = [];
  for (const file of await namesIn(folder, 'ENOTDIR')) {
    if (!file.endsWith('.conf')) continue;
    const options = /^options[ \t]+(.*)$/m.exec((await readText(join(folder, file))) ?? '')?.[1];
    const entry = entryOf(idOf(file), options ?? '');
    if (entry !== undefined) entries.push(entry);
  }
  entries.push(...(await readImages(join(bootDirectory, 'EFI/Linux'))));
  return { loader: 'systemd-boot', entries, chosen: chosenBy(conf, entries) };
}

const idOf = (file: string) => file.replace(/\+\d+(-\d+)?(\.(?:conf|efi))$/, '$2');

function chosenBy(conf: string, entries: readonly BootEntry[]): BootEntry | undefined {
  // `preferred` (systemd 260) takes precedence over `default`; a later line replaces an earlier one.
  for (const key of ['preferred', 'default']) {
    const value = [...conf.matchAll(new RegExp(`^${key}[ \\t]+(\\S+)[ \\t]*$`, 'gm'))].at(-1)?.[1];
    if (value === undefined) continue;
    const pattern = new RegExp(
      `^${value
        .replace(/[.+^${}()|[\]\\]/g, '\\$&')
        .replace(/\*/g, '.*')
        .replace(/\?/g, '.')}$`,
      'i',
    );
    const found = entries.filter((e) => pattern.test(e.name));
    if (found.length === 1) return found[0];
  }
  return undefined;
}

/** Unified kernel images, as lanzaboote writes them: the command line is a section of the file (UAPI.5). */
async function readImages(folder: string): Promise<BootEntry[]> {
  const entries: BootEntry[] = [];
  for (const file of await namesIn(folder, 'ENOTDIR')) {
    if (!/\.efi$/i.test(file)) continue;
    const entry = entryOf(idOf(file), (await readCommandLine(join(folder, file))) ?? '');
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

/** Bytes; a kernel accepts 2048 (or 4096) of them. */
const longestCommandLine = 64 * 1024;
const sectionBytes = 40;

/** `.cmdline` of a PE file (Microsoft, PE Format: COFF header, section table). */
async function readCommandLine(path: string): Promise<string | undefined> {
  const file = await open(path, 'r');
  try {
    const at = (await readAt(file, 0x3c, 4))?.readUInt32LE(0);
    const header = at === undefined ? undefined : await readAt(file, at, 24);
    if (at === undefined || header === undefined || header.toString('latin1', 0, 4) !== 'PE\0\0')
      return undefined;
    const [sections, optional] = [header.readUInt16LE(6), header.readUInt16LE(20)];
    const table = await readAt(file, at + 24 + optional, sections * sectionBytes);
    for (let i = 0; table !== undefined && i < sections; i++) {
      const section = table.subarray(i * sectionBytes, (i + 1) * sectionBytes);
      if (section.toString('latin1', 0, 8).replace(/\0+$/, '') !== '.cmdline') continue;
      const [size, position] = [section.readUInt32LE(8), section.readUInt32LE(20)];
      return (await readAt(file, position, Math.min(size, longestCommandLine)))?.toString();
    }
    return undefined;
  } finally {
    await file.close();
  }
}

/** Undefined if the file is shorter. */
async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer | undefined> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return bytesRead === length ? buffer : undefined;
}

/** As written by nixpkgs’ install-grub.pl: the default is the first entry, unless it is set by name or by the last choice. */
function parseGrub(text: string): Omit<BootMenu, 'loader'> {
  const all = [...text.matchAll(/^\s*menuentry\s+"((?:[^"\\]|\\.)*)"[^{]*\{([^}]*)\}/gm)].map(
    ([, name = '', body = '']) =>
      entryOf(name, /^\s*(?:linux|multiboot|module)\s.*\binit=.*$/m.exec(body)?.[0] ?? ''),
  );
  const value = [...text.matchAll(/^\s*set\s+default="?([^"\s]+)"?\s*$/gm)].at(-1)?.[1];
  const chosen = value !== undefined && /^\d+$/.test(value) ? all[Number(value)] : undefined;
  return { entries: all.filter((e) => e !== undefined), chosen };
}

/** As written by nixpkgs’ extlinux-conf-builder.sh. */
function parseExtlinux(text: string): Omit<BootMenu, 'loader'> {
  const entries = text
    .split(/^LABEL[ \t]+/m)
    .slice(1)
    .flatMap((part) => {
      const name = part.split('\n', 1)[0]?.trim() ?? '';
      const line = /^\s*APPEND[ \t]+(.*)$/m.exec(part)?.[1];
      return entryOf(name, line ?? '') ?? [];
    });
  const value = /^DEFAULT[ \t]+(\S+)/m.exec(text)?.[1];
  return { entries, chosen: entries.find((e) => e.name === value) };
}

/** As written by nixpkgs’ limine-install.py. The default is a number in the folded menu, and counting it is up to Limine. */
function parseLimine(text: string): Omit<BootMenu, 'loader'> {
  const entries = text
    .split(/^\/+/m)
    .slice(1)
    .flatMap((part) => {
      const name = part.split('\n', 1)[0]?.trim() ?? '';
      return entryOf(name, /^\s*cmdline:[ \t]*(.*)$/m.exec(part)?.[1] ?? '') ?? [];
    });
  return { entries, chosen: undefined };
}
