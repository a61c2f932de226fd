/** Disks of machines that run nixmaker as its units start it, to be copied for each case. */
import { cp, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Workshop } from '../support/fleet.ts';
import { compiled, compiledAt, compiledHeld, compiledMain, compiledNode } from './compiled.ts';
import { heldUnitFiles } from './held-units.ts';
import { copyDisk, emptyDisk, Vm } from './vm.ts';

export interface VmTarget {
  readonly policy?: Readonly<Record<string, unknown>>;
  readonly nixConf?: string;
  readonly kind?: 'plain' | 'media';
  /** The system that runs to begin with. */
  readonly bundle: string;
}

/** The checkout’s nixmaker and its units, in a machine whose Nix has been set up. */
export async function putNixmaker(
  vm: Vm,
  folder: string,
  { publicKey, nixConf = '' }: { readonly publicKey: string; readonly nixConf?: string | undefined },
): Promise<void> {
  await vm.sh('nix-store --init');
  await vm.write(
    '/etc/nix/nix.conf',
    `experimental-features = nix-command flakes\nsandbox = false\nsubstituters =\ntrusted-public-keys = ${publicKey}\n${nixConf}`,
  );
  await cp(compiled, join(folder, 'compiled'), { recursive: true });
  const main = `${compiledNode} ${compiledMain}`;
  const wrapper = `#!/bin/sh\nexport NODE_COMPILE_CACHE=/var/cache/node\nexec ${main} "$@"\n`;
  await vm.sh(`cp -r /host/compiled ${compiledAt}; cp /opt/node/bin/node ${compiledNode}`);
  await vm.write('/usr/bin/nixmaker', wrapper, '0755');
  for (const [path, text] of heldUnitFiles(`${compiledNode} ${compiledHeld} %s ${compiledMain}`))
    await vm.write(path, text);
}

/** Makes a machine and shuts it down. @returns its disk */
export async function makeDisk(shop: Workshop, name: string, options: VmTarget): Promise<string> {
  const folder = join(shop.folder, name);
  await copyDisk(emptyDisk(options.kind), folder);
  const vm = await Vm.boot(folder);
  try {
    await putNixmaker(vm, folder, { publicKey: shop.keys.publicKey, nixConf: options.nixConf });
    const policy = { schema: 1, host: 'web', operation: 'switch', trustedKeys: [shop.keys.publicKey] };
    await vm.write('/etc/nixmaker/policy.json', JSON.stringify(policy));
    await vm.sh(
      'systemd-tmpfiles --create held.conf; systemctl daemon-reload; systemctl enable nixmaker.service nixmaker-activate.path nixmaker-activate.service nixmaker-confirm.service; systemctl start nixmaker-activate.path nixmaker.service',
    );
    await dropBundle(vm, options.bundle, 'first.tar');
    await vm.until('test -e /var/lib/nixmaker/inbox/done/first.tar.txt');
    await vm.sh('systemctl stop nixmaker.service; rm -r /var/lib/nixmaker/inbox/done');
    await vm.write('/etc/nixmaker/policy.json', JSON.stringify({ ...policy, ...options.policy }));
  } finally {
    await vm.powerOff();
  }
  return join(folder, 'disk');
}

/** As scp would, but for the name, which is not looked at before the copy is whole. */
export async function dropBundle(vm: Vm, bundle: string, name: string): Promise<void> {
  await vm.write(`/var/lib/nixmaker/inbox/${name}`, await readFile(bundle));
}

/** Boots a copy of the disk in a folder of its own. */
export async function bootCopy(disk: string, folder: string): Promise<Vm> {
  await mkdir(folder, { recursive: true });
  await copyDisk(disk, folder);
  return Vm.boot(folder);
}
