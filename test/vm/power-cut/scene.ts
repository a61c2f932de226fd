/** Machines whose power is cut: what they take, how they are led to a cut, and what is looked at after it. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after } from 'node:test';
import { isEnd, type State } from '../../../src/core/run/lifecycle.ts';
import { printDefaultSystem } from '../../machines/boot-menu.ts';
import { compiledNode } from '../../machines/compiled.ts';
import { nixSystem } from '../../machines/program.ts';
import { copyDisk, Vm } from '../../machines/vm.ts';
import { bootCopy, dropBundle } from '../../machines/vm-target.ts';
import { type Cut, point } from '../../support/cuts.ts';
import { makeWorkshop } from '../../support/fleet.ts';

export const shop = await makeWorkshop();
/** A system with something to lose: so many paths of half a mebibyte that no other release has. */
export const release = (name: string, sequence: number, switchPrelude?: string, paths = 8) => {
  const builder = `"$(head -c 524288 /dev/urandom | base64 -w0)"`;
  const path = (i: number) =>
    `\${derivation { name = "data-${name}-${i}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" ''echo ${builder} >$out'' ]; }}`;
  const carried = Array.from({ length: paths }, (_, i) => path(i)).join(' ');
  return shop.bundle(name, {
    hosts: { web: `mkSystem { hostName = "web"; motd = "${name} ${carried}"; }` },
    args: ['--sequence', String(sequence)],
    ...(switchPrelude === undefined ? {} : { switchPrelude }),
  });
};
export const bundles = {
  old: await release('old', 0),
  good: await release('good', 10),
  bad: await release('bad', 10, 'if [ "${1:-}" = switch ]; then exit 2; fi'),
};
export const inbox = '/var/lib/nixmaker/inbox';
export const journal = '/var/lib/nixmaker/activation/journal';
after(() => Vm.cutAll());
let count = 0;

/** Boots the disk in a folder, as often as the work asks; then the machine is ended, and the folder removed. */
export async function inMachine(
  folder: string,
  work: (boot: (args?: readonly string[]) => Promise<Vm>) => Promise<void>,
): Promise<void> {
  let vm: Vm | undefined;
  try {
    await work(async (args) => {
      vm = await Vm.boot(folder, args);
      return vm;
    });
  } finally {
    await vm?.cutPower();
    await rm(folder, { recursive: true, force: true });
  }
}

/** A copy of the disk in a folder of its own. */
export async function fresh(disk: string): Promise<string> {
  count += 1;
  const folder = join(shop.folder, `fresh-${count}`);
  await copyDisk(disk, folder);
  return folder;
}

/**
 * SQLite writes its log into the database, and that to the disk, once the log has grown to a thousand pages or its last
 * client is gone: from then on the paths are valid whatever happens. Here it is done at once, whoever has it open.
 */
export const registered = `${compiledNode} -e 'new (require("node:sqlite").DatabaseSync)("/nix/var/nix/db/db.sqlite").exec("PRAGMA wal_checkpoint(TRUNCATE)")'`;

/** Damaged among the valid paths, and all valid paths. */
export async function countDamage(vm: Vm): Promise<{ readonly damaged: number; readonly valid: number }> {
  const { output } = await vm.try('nix-store --verify --check-contents 2>&1');
  const damaged = output.match(/was modified|disappeared|error:/g)?.length ?? 0;
  const valid = Number(await vm.sh('ls -d /nix/store/*-* | wc -l'));
  return { damaged, valid };
}

/** Until something asks for it the kernel writes nothing, so that a cut takes all that nobody made sure of. */
export const lazy =
  'sysctl --quiet vm.dirty_writeback_centisecs=0 vm.dirty_expire_centisecs=360000; mount -o remount,commit=300 /';

/** Machines that run the old system, a disk for each operation of their policy. */
export type Disks = Readonly<Record<Cut['operation'], string>>;

/**
 * Leads one machine through all the cuts of a bundle, and copies its disk at each as a power cut there would leave it.
 * @returns the folder with the disk for each cut
 */
async function makeImages(disks: Disks, mine: readonly Cut[]): Promise<Map<Cut, string>> {
  const images = new Map<Cut, string>();
  const take = async (vm: Vm, cuts: readonly Cut[]) => {
    const left = new Map(cuts.map((cut) => [point(cut), cut]));
    while (left.size > 0) {
      await vm.until('test -e /run/hold/held');
      const held = await vm.sh('cat /run/hold/held');
      const cut = left.get(held);
      assert.ok(cut !== undefined, `held at ${held} again`);
      left.delete(held);
      images.set(cut, `${disks[cut.operation]} cut ${cut.bundle} ${held}`);
      await vm.copyAsIfCut(images.get(cut) as string);
      await vm.sh('rm /run/hold/held');
    }
  };
  const [first] = mine;
  assert.ok(first !== undefined);
  const folder = `${disks[first.operation]} run ${first.bundle}`;
  const vm = await bootCopy(disks[first.operation], folder);
  try {
    const now = mine.filter((cut) => cut.who !== 'confirm');
    await vm.sh(lazy);
    await vm.write('/run/hold/at', now.map(point).join('\n'));
    await dropBundle(vm, bundles[first.bundle], 'web.tar');
    await vm.sh(`sync ${inbox}/web.tar ${inbox}`);
    await take(vm, now);
    await vm.until(`ls ${inbox}/*/web.tar.txt`);
    await vm.powerOff();
    const later = mine.filter((cut) => cut.who === 'confirm');
    if (later.length === 0) return images;
    const points = later.map((cut) => point(cut).replaceAll(' ', ',')).join('+');
    const starting = await Vm.boot(folder, [`nixmaker.hold=${points}`]);
    await starting.sh(lazy);
    await take(starting, later).finally(() => starting.cutPower());
    return images;
  } finally {
    await vm.cutPower();
    await rm(folder, { recursive: true, force: true });
  }
}

async function restOf(vm: Vm) {
  await vm.until(
    `journalctl --boot --no-pager --output=cat --unit nixmaker | grep -q agent-ready && ! ls ${inbox}/*.tar 2>/dev/null`,
  );
  const read = `readlink /run/current-system; readlink -f /nix/var/nix/profiles/system; ${printDefaultSystem}; cut -d' ' -f1 /run/current-system/etc/motd; grep '"sequence":11' ${journal} | tail -n 1 | grep -o '"state":"[a-z-]*"' || echo none`;
  const [running, installed, starts, motd, last] = (await vm.sh(read)).trim().split('\n');
  return { running, installed, starts, motd, last: last?.replaceAll('"', '').replace('state:', '') };
}

/** All cuts of one bundle in one life of a machine. */
export async function imagesOf(disks: Disks, cuts: readonly Cut[]): Promise<ReadonlyMap<Cut, string>> {
  const lives = Map.groupBy(cuts, (cut) => `${cut.operation} ${cut.bundle}`);
  const made = await Promise.all([...lives.values()].map((mine) => makeImages(disks, mine)));
  return new Map(made.flatMap((of) => [...of]));
}

/** Starts what a cut has left. @returns what became of it */
export async function startAfterCut(image: string, cut: Cut): Promise<Record<string, unknown>> {
  let outcome: Record<string, unknown> = {};
  await inMachine(image, async (boot) => {
    let vm = await boot();
    let rest = await restOf(vm);
    if (rest.last === 'pending') {
      assert.equal(rest.motd, 'old', 'nothing runs before its start');
      await vm.powerOff();
      vm = await boot();
      rest = await restOf(vm);
    }
    const damage = await countDamage(vm);
    outcome = { ...cut, running: rest.motd, last: rest.last, ...damage };
    assert.equal(damage.damaged, 0);
    assert.equal(rest.running, rest.installed, 'what runs is what is installed');
    assert.equal(rest.starts, rest.installed, 'what is installed is what starts');
    if (cut.bundle === 'good') assert.deepEqual([rest.motd, rest.last], ['good', 'committed']);
    else assert.ok(rest.last !== undefined && (rest.last === 'none' || isEnd(rest.last as State)), rest.last);
  });
  return outcome;
}

/** The power is cut when all paths are valid and none is flushed. @param fate of the bundle, before the next start @returns what became of it */
export async function cutBeforeFlush(
  disk: string,
  fate: 'stays' | 'is gone',
): Promise<Record<string, unknown>> {
  let outcome: Record<string, unknown> = {};
  await inMachine(await fresh(disk), async (boot) => {
    const vm = await boot();
    // The real sync, but for standing still first.
    const shim =
      '#!/bin/sh\ntouch /run/hold/held; while [ ! -e /run/hold/go ]; do sleep 0.05; done; exec /usr/bin/sync.real "$@"\n';
    await dropBundle(vm, bundles.good, '.web.tar');
    await vm.sh(
      `sync ${inbox}/.web.tar; cp /usr/bin/sync /usr/bin/sync.real; /usr/bin/sync.real /usr/bin/sync.real`,
    );
    await vm.write('/run/sync', shim, '0755');
    await vm.sh(
      `mount --bind /run/sync /usr/bin/sync; systemctl restart nixmaker.service; mv ${inbox}/.web.tar ${inbox}/web.tar; /usr/bin/sync.real ${inbox}`,
    );
    await vm.until('test -e /run/hold/held');
    await vm.sh(registered).finally(() => vm.cutPower());
    // One start in which nixmaker stays out of it: what the power cut has done.
    const idle = await boot(['systemd.mask=nixmaker.service']);
    const before = await countDamage(idle);
    assert.ok(before.damaged > 0, 'the cut came too late to harm: it shows nothing');
    if (fate === 'is gone') await idle.sh(`rm ${inbox}/web.tar`);
    await idle.powerOff();
    const again = await boot();
    const rest = await restOf(again);
    const damage = await countDamage(again);
    const cut = { who: 'agent', when: 'before', state: 'flush', bundle: 'good', fate };
    outcome = { ...cut, damagedAtStart: before.damaged, ...damage };
    assert.equal(damage.damaged, 0);
    assert.equal(rest.motd, fate === 'stays' ? 'good' : 'old');
  });
  return outcome;
}
