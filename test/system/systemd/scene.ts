/** The machine of systemd.test.ts, booted once: the services of systemd/, and a desk that builds for it. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after } from 'node:test';
import { type Bed, startBed, unitText } from '../../machines/bed.ts';
import { makeWorkshop, plainHost } from '../../support/fleet.ts';

export const shop = await makeWorkshop();
const disk = join(shop.folder, 'bed');
await mkdir(disk);
export const bed: Bed = await startBed(disk);
after(() => bed.stop());

await bed.write(
  '/etc/nix/nix.conf',
  `experimental-features = nix-command flakes\nsandbox = false\nsubstituters =\ntrusted-public-keys = ${shop.keys.publicKey}\n!include /var/lib/nixmaker/activation/store-key.conf\n`,
);
/** Another policy for the machine. An agent that runs has to be started again. */
export const writePolicy = (more: Readonly<Record<string, unknown>> = {}) => {
  const policy = { schema: 1, host: 'web', operation: 'switch', trustedKeys: [shop.keys.publicKey] };
  return bed.write('/etc/nixmaker/policy.json', JSON.stringify({ ...policy, ...more }));
};
await writePolicy();
export const units = [
  'nixmaker.service',
  'nixmaker-activate.path',
  'nixmaker-activate.service',
  'nixmaker-confirm.service',
  'nixmaker-deadline.service',
  'nixmaker-reboot.service',
  'nixmaker-medium@.service',
  'nixmaker-receipts.path',
  'nixmaker-receipts.service',
  'nixmaker-store-key.service',
];
for (const unit of units) await bed.write(`/etc/systemd/system/${unit}`, unitText(unit));
await bed.sh(
  'systemctl daemon-reload; systemctl start nixmaker-confirm.service nixmaker-activate.path nixmaker.service; systemctl is-active nixmaker.service',
);

export const release = (name: string, sequence: number, switchPrelude?: string) =>
  shop.bundle(name, {
    hosts: { web: plainHost('web', name) },
    args: ['--sequence', String(sequence)],
    ...(switchPrelude === undefined ? {} : { switchPrelude }),
  });
export const drop = async (path: string, name: string) =>
  bed.write(`/var/lib/nixmaker/inbox/${name}`, await readFile(path));
export const report = async (folder: string, name: string) => {
  await bed.until('test -e "$1"', `/var/lib/nixmaker/inbox/${folder}/${name}.txt`);
  return bed.sh('cat "$1"', `/var/lib/nixmaker/inbox/${folder}/${name}.txt`);
};
