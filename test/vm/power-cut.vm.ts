/**
 * The power is cut before and after every transition of agent, helper and confirmation, each time on a machine of its
 * own, at a moment that was seen and not timed; and between an import and its flush, where Nix’s defaults lose data.
 * After the next start the machine is on the old or the committed new system, and no valid path is damaged. Beside it
 * the same with Nix’s defaults and without our care, which must still show the damage: else this proves nothing.
 */
import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { checkout, nixSystem } from '../../scripts/sandboxed-target.ts';
import { isEnd, type State, states } from '../../src/core/lifecycle.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { copyDisk, Vm } from '../support/vm.ts';
import { dropBundle, makeDisk } from '../support/vm-target.ts';

const shop = await makeWorkshop();
/** A system with something to lose: eight paths of half a mebibyte that no other release has. */
const release = (name: string, sequence: number, switchPrelude?: string) => {
  const builder = `"$(head -c 524288 /dev/urandom | base64 -w0)"`;
  const path = (i: number) =>
    `\${derivation { name = "data-${name}-${i}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" ''echo ${builder} >$out'' ]; }}`;
  const carried = Array.from({ length: 8 }, (_, i) => path(i)).join(' ');
  return shop.bundle(name, {
    hosts: { web: `mkSystem { hostName = "web"; motd = "${name} ${carried}"; }` },
    args: ['--sequence', String(sequence)],
    ...(switchPrelude === undefined ? {} : { switchPrelude }),
  });
};
const bundles = {
  old: await release('old', 0),
  good: await release('good', 10),
  bad: await release('bad', 10, 'if [ "${1:-}" = switch ]; then exit 2; fi'),
};
const disks = {
  switch: await makeDisk(shop, 'golden-switch', { bundle: bundles.old }),
  boot: await makeDisk(shop, 'golden-boot', { bundle: bundles.old, policy: { operation: 'boot' } }),
};

interface Cut {
  readonly who: 'agent' | 'activate' | 'confirm';
  readonly when: 'before' | 'after';
  readonly state: State;
  readonly bundle: 'good' | 'bad';
  readonly operation: 'switch' | 'boot';
}

const ways: readonly Omit<Cut, 'when' | 'state'>[] = [
  { who: 'agent', bundle: 'good', operation: 'switch' },
  { who: 'activate', bundle: 'good', operation: 'switch' },
  { who: 'activate', bundle: 'bad', operation: 'switch' },
  { who: 'activate', bundle: 'good', operation: 'boot' },
  { who: 'confirm', bundle: 'good', operation: 'boot' },
];

/** The states that this process records on this way and that no way before has been cut at. */
function statesOf({ who, bundle, operation }: Omit<Cut, 'when' | 'state'>): readonly State[] {
  if (who === 'confirm') return ['healthy', 'committed'];
  if (who === 'agent') return ['discovered', 'verified', 'accepted', 'imported', 'realised', 'committed'];
  if (bundle === 'bad') return ['rolling-back', 'rolled-back'];
  if (operation === 'boot') return ['pending'];
  // What is left of the life cycle: a new state comes in here by itself.
  const elsewhere: readonly State[] = [
    'pending',
    'rolling-back',
    'rolled-back',
    'deferred',
    'refused',
    'failed',
    'superseded',
  ];
  return states.filter((s) => !elsewhere.includes(s));
}

const cuts: Cut[] = ways.flatMap((way) =>
  statesOf(way).flatMap((state) =>
    // Until the agent hands over nothing but the store is changed, so one cut a state shows all there is to lose.
    (way.who === 'agent' ? (['after'] as const) : (['before', 'after'] as const)).map(
      (when): Cut => ({ ...way, when, state }),
    ),
  ),
);

const inbox = '/var/lib/nixmaker/inbox';
const journal = '/var/lib/nixmaker/activation/journal';
const outcomes: Record<string, unknown>[] = [];
after(() => Vm.cutAll());
let count = 0;

/** A folder with a copy of the disk; the machine that the work returns is ended. */
async function withDisk(disk: string, work: (folder: string) => Promise<Vm>): Promise<void> {
  count += 1;
  const folder = join(shop.folder, `cut-${count}`);
  try {
    await copyDisk(disk, folder);
    const vm = await work(folder);
    await vm.cutPower();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * SQLite writes its log into the database, and that to the disk, when its last client closes it, as any `nix` that root
 * runs does: from then on the paths are valid whatever happens.
 */
const registered = 'nix path-info --all >/dev/null';

/** Damaged among the valid paths, and all valid paths. */
async function countDamage(vm: Vm): Promise<{ readonly damaged: number; readonly valid: number }> {
  const { output } = await vm.try('nix-store --verify --check-contents 2>&1');
  const damaged = output.match(/was modified|disappeared|error:/g)?.length ?? 0;
  const valid = Number(await vm.sh('ls -d /nix/store/*-* | wc -l'));
  return { damaged, valid };
}

/** Brings a machine to the point, cuts its power, starts it again, and waits until nixmaker has come to rest. */
async function cutAndRestart(folder: string, cut: Cut): Promise<Vm> {
  const { who, when, state } = cut;
  const vm = await Vm.boot(folder);
  try {
    if (who !== 'confirm') await vm.sh(`echo "${who} ${when} ${state}" >/run/hold/at`);
    await dropBundle(vm, bundles[cut.bundle], 'web.tar');
    await vm.sh(`sync ${inbox}/web.tar ${inbox}`);
    await vm.until(who === 'confirm' ? `test -e ${inbox}/done/web.tar.txt` : 'test -e /run/hold/held');
  } finally {
    if (who === 'confirm') await vm.powerOff();
    else await vm.cutPower();
  }
  if (who === 'confirm') {
    const starting = await Vm.boot(folder, [`nixmaker.hold=${who},${when},${state}`]);
    await starting.until('test -e /run/hold/held').finally(() => starting.cutPower());
  }
  return Vm.boot(folder);
}

async function restOf(vm: Vm) {
  await vm.until(
    `journalctl --boot --no-pager --output=cat --unit nixmaker | grep -q agent-ready && ! ls ${inbox}/*.tar 2>/dev/null`,
  );
  const read = `readlink /run/current-system; readlink -f /nix/var/nix/profiles/system; sed -n 's/.*generation-\\([0-9]*\\).*/\\1/p' /boot/loader/loader.conf | sed 's|.*|/nix/var/nix/profiles/system-&-link|' | xargs readlink; cut -d' ' -f1 /run/current-system/etc/motd; grep '"sequence":11' ${journal} | tail -n 1 | grep -o '"state":"[a-z-]*"' || echo none`;
  const [running, installed, starts, motd, last] = (await vm.sh(read)).trim().split('\n');
  return { running, installed, starts, motd, last: last?.replaceAll('"', '').replace('state:', '') };
}

describe('power cuts', { concurrency: 2 }, () => {
  for (const cut of cuts) {
    const { who, when, state, bundle, operation } = cut;
    test(`${operation}, ${bundle} system, power cut at ${who} ${when} ${state}`, async () => {
      await withDisk(disks[operation], async (folder) => {
        let vm = await cutAndRestart(folder, cut);
        let rest = await restOf(vm).catch(async (error) => {
          await vm.cutPower();
          throw error;
        });
        if (rest.last === 'pending') {
          assert.equal(rest.motd, 'old', 'nothing runs before its start');
          await vm.powerOff();
          vm = await Vm.boot(folder);
          rest = await restOf(vm);
        }
        const damage = await countDamage(vm);
        outcomes.push({ ...cut, running: rest.motd, last: rest.last, ...damage });
        assert.equal(damage.damaged, 0);
        assert.equal(rest.running, rest.installed, 'what runs is what is installed');
        assert.equal(rest.starts, rest.installed, 'what is installed is what starts');
        if (bundle === 'good') assert.deepEqual([rest.motd, rest.last], ['good', 'committed']);
        else
          assert.ok(
            rest.last !== undefined && (rest.last === 'none' || isEnd(rest.last as State)),
            rest.last,
          );
        return vm;
      });
    });
  }

  for (const fate of ['stays', 'is gone'] as const) {
    test(`power cut when all paths are valid and none is flushed; the bundle ${fate}`, async () => {
      await withDisk(disks.switch, async (folder) => {
        const vm = await Vm.boot(folder);
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
        const idle = await Vm.boot(folder, ['systemd.mask=nixmaker.service']);
        const before = await countDamage(idle);
        assert.ok(before.damaged > 0, 'the cut came too late to harm: it shows nothing');
        if (fate === 'is gone') await idle.sh(`rm ${inbox}/web.tar`);
        await idle.powerOff();
        const again = await Vm.boot(folder);
        const rest = await restOf(again);
        const damage = await countDamage(again);
        outcomes.push({
          who: 'agent',
          when: 'before',
          state: 'flush',
          bundle: 'good',
          fate,
          damagedAtStart: before.damaged,
          ...damage,
        });
        assert.equal(damage.damaged, 0);
        assert.equal(rest.motd, fate === 'stays' ? 'good' : 'old');
        return again;
      });
    });
  }
});

describe('the control: Nix’s defaults, without our care', { concurrency: 2 }, () => {
  let damagedInAll = 0;
  for (let i = 1; i <= 2; i++) {
    test(`power cut after an import that Nix called done, ${i}`, async () => {
      await withDisk(disks.switch, async (folder) => {
        const vm = await Vm.boot(folder);
        await vm.sh('systemctl stop nixmaker.service');
        await vm.write('/root/web.tar', await readFile(bundles.good));
        await vm.sh('mkdir /root/web; tar -xf /root/web.tar -C /root/web; sync');
        await vm.sh('nix copy --from file:///root/web "$(tail -n 1 /root/web/meta)"');
        await vm.sh(registered).finally(() => vm.cutPower());
        const again = await Vm.boot(folder, ['systemd.mask=nixmaker.service']);
        const damage = await countDamage(again);
        damagedInAll += damage.damaged;
        outcomes.push({ who: 'control', when: 'after', state: 'imported', ...damage });
        return again;
      });
    });
  }
  test('still shows the damage', () => assert.ok(damagedInAll > 0));
});

test('the outcomes are kept as a table', async () => {
  assert.ok(outcomes.filter((o) => o.who !== 'control').length >= 36);
  const folder = join(checkout, 'test', 'out');
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, 'power-cuts.json'),
    `${JSON.stringify({ schema: 1, cases: outcomes }, null, 2)}\n`,
  );
});
