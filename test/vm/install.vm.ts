/**
 * A machine from nothing: an empty disk beside the one of a live system, installed from a stick, started from it, known to its desk; and the
 * next stick is taken by its own agent. What a NixOS system brings itself, the samples’ take from the live system: its files are copied first.
 */
import assert from 'node:assert/strict';
import { mkdir, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { unitText } from '../machines/bed.ts';
import { run } from '../machines/program.ts';
import { copyDisk, emptyDisk, Vm } from '../machines/vm.ts';
import { putNixmaker } from '../machines/vm-target.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { installableHost } from '../support/installable.ts';

const shop = await makeWorkshop();
after(() => Vm.cutAll());
const policy = { operation: 'switch', media: { folders: ['/host/stick'] } };
const host = (motd: string) => ({ hosts: { web: installableHost(shop, motd, { policy }) } });
const one = await shop.bundle('first', host('first'));
const two = await shop.bundle('next', { ...host('next'), args: ['--sequence', '10'] });

const folder = join(shop.folder, 'machine');
const stick = join(folder, 'stick');
await mkdir(stick, { recursive: true });

async function desk(...args: string[]): Promise<string> {
  const ran = await shop.builder.nixmaker(args);
  assert.equal(ran.code, 0, ran.stderr);
  return ran.stdout;
}
const fleet = join(shop.folder, 'fleet');
const collected = async (...more: string[]) => {
  await desk('collect', stick, '-d', fleet, ...more);
  return JSON.parse(await desk('fleet', '-d', fleet, '--json')).hosts[0];
};

test('an empty disk is installed from a stick, starts, commits, and takes the next stick', async () => {
  await desk('put', '--plain-folder', stick, one);
  await copyDisk(emptyDisk(), folder);
  await writeFile(join(folder, 'second'), '');
  await truncate(join(folder, 'second'), 3 * 2 ** 30);
  // The machine has no mkfs(8).
  const made = await run('mkfs.ext4', ['-q', '-F', join(folder, 'second')]);
  assert.equal(made.code, 0, made.stderr);
  const live = await Vm.boot(folder);
  await putNixmaker(live, folder, { publicKey: shop.keys.publicKey });
  for (const unit of ['nixmaker-receipts.path', 'nixmaker-receipts.service'])
    await live.write(`/etc/systemd/system/${unit}`, unitText(unit));
  const units = 'nixmaker nixmaker-activate.path nixmaker-receipts.path nixmaker-activate nixmaker-confirm';
  await live.sh(`systemctl daemon-reload; systemctl enable ${units}`);
  await live.sh('mount /dev/ubdb /mnt; rm -r /mnt/lost+found; test -z "$(ls /mnt)"', 120_000);
  const cannot = await live.try(
    `nixmaker install /host/stick --root /mnt --host web --key stranger:${'A'.repeat(43)}=`,
  );
  assert.notEqual(cannot.code, 0);
  await live.sh('test -z "$(ls /mnt)"');
  await live.sh(
    'mkdir -p /mnt/nix /mnt/proc /mnt/sys /mnt/dev /mnt/run /mnt/mnt /mnt/boot; for f in /*; do case $f in /nix|/proc|/sys|/dev|/run|/mnt|/boot|/host|/tmp|/opt|/lost+found) ;; *) cp -ax $f /mnt ;; esac; done; mkdir -p /mnt/opt/node /mnt/opt/nixmaker /mnt/host; mkdir -m 1777 /mnt/tmp; rm -rf /mnt/var/lib/nixmaker /mnt/etc/nixmaker /mnt/etc/machine-id /mnt/etc/NIXOS; cp -a /opt/. /mnt/opt/ || true',
    480_000,
  );
  const said = await live.sh(
    `nixmaker install /host/stick --root /mnt --host web --key ${shop.keys.publicKey} --json`,
    240_000,
  );
  const { hostKey, receiptOn } = JSON.parse(said.slice(said.indexOf('{')));
  assert.equal(receiptOn, '/host/stick');
  await live.sh('umount -R /mnt');
  await live.powerOff();
  const enrolled = await collected('--enrol');
  assert.match(JSON.stringify(enrolled), /"pending"/);

  // The new disk is the first one now, and the live system’s is gone.
  await rm(join(folder, 'disk'));
  await rename(join(folder, 'second'), join(folder, 'disk'));
  const machine = await Vm.boot(folder);
  const runs = (name: string) => machine.until(`grep -q '^${name}$' /run/current-system/etc/motd`);
  await runs('first');
  await machine.until(`grep -q '"state":"committed"' /var/lib/nixmaker/activation/journal`);
  assert.match(await machine.sh('nixmaker floor'), /\b1\b/);
  assert.equal((await machine.sh('nixmaker host-key')).trim(), hostKey);
  await machine.sh('nixmaker status');
  await desk('put', '--plain-folder', stick, two);
  await runs('next');
  await machine.until('test -e /host/stick/nixmaker/receipts/web/11.json');
  const home = await collected();
  assert.deepEqual([home.condition, home.release, home.floor], ['well', 11, 11], JSON.stringify(home));
  await machine.powerOff();
});
