/** Systems that can be installed on an empty disk: the samples’, with a policy of their own. */

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Workshop } from './fleet.ts';

const nixString = (value: string) => `"${value.replaceAll(/["\\$]/g, '\\$&')}"`;

/** A Nix expression. @param files more in /etc, or others instead */
export const installableHost = (
  shop: Workshop,
  name: string,
  {
    policy = {},
    files = {},
    disk,
  }: {
    policy?: object;
    files?: Readonly<Record<string, string>>;
    /** A script that makes its file systems, and the disks it takes. */
    disk?: { readonly script: string; readonly disks: readonly string[] };
  } = {},
): string => {
  const whole = { schema: 1, host: 'web', operation: 'boot', trustedKeys: [shop.keys.publicKey], ...policy };
  const all = { 'nixmaker/policy.json': JSON.stringify(whole), ...files };
  const entries = Object.entries(all).map(([file, text]) => `"${file}" = ${nixString(text)};`);
  const formatting =
    disk === undefined
      ? ''
      : `diskScript = ${nixString(disk.script)}; disks = [ ${disk.disks.map(nixString).join(' ')} ];`;
  return `mkSystem { hostName = "web"; motd = "${name}"; etcFiles = { ${entries.join(' ')} }; ${formatting} }`;
};

/** A folder as a stick has it. */
export async function stickWith(shop: Workshop, name: string, bundles: readonly string[]): Promise<string> {
  const stick = join(shop.folder, 'sticks', name);
  await mkdir(stick, { recursive: true });
  const put = await shop.builder.nixmaker(['put', '--plain-folder', stick, ...bundles]);
  assert.equal(put.code, 0, put.stderr);
  return stick;
}
