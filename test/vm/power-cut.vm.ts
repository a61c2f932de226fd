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
const old = await release('old', 0);
const disks = {
  switch: await makeDisk(shop, 'golden-switch', { bundle: old }),
  boot: await makeDisk(shop, 'golden-boot', { bundle: old, policy: { operation: 'boot' } }),
};
const badSwitch = 'if [ "${1:-}" = switch ]; then exit 2; fi';

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

interface Rest {
  readonly running: string | undefined;
  readonly installed: string | undefined;
  readonly starts: string | undefined;
  readonly motd: string | undefined;
  /** The last state of the run of this sequence. */
  readonly last: string | undefined;
}

async function restOf(vm: Vm, sequence: number): Promise<Rest> {
  await vm.until(
    `journalctl --boot --no-pager --output=cat --unit nixmaker | grep -q agent-ready && ! ls ${inbox}/*.tar 2>/dev/null`,
  );
  const read = `readlink /run/current-system; readlink -f /nix/var/nix/profiles/system; sed -n 's/.*generation-\\([0-9]*\\).*/\\1/p' /boot/loader/loader.conf | sed 's|.*|/nix/var/nix/profiles/system-&-link|' | xargs readlink; cut -d' ' -f1 /run/current-system/etc/motd; grep '"sequence":${sequence},' ${journal} | tail -n 1 | grep -o '"state":"[a-z-]*"' || echo none`;
  const [running, installed, starts, motd, last] = (await vm.sh(read)).trim().split('\n');
  return { running, installed, starts, motd, last: last?.replaceAll('"', '').replace('state:', '') };
}

/**
 * A machine whose power is cut again and again, each time with another bundle: what a case leaves is what the next one begins
 * with. After a case that failed the next has a new machine.
 */
class Victim {
  readonly #disk: string;
  readonly #folder: string;
  #vm: Vm | undefined;
  /** What is in place. */
  #stands = 'old';
  #sequence = 1;

  constructor(disk: string, name: string) {
    this.#disk = disk;
    this.#folder = join(shop.folder, `victim-${name}`);
  }

  async suffer(cut: Cut): Promise<void> {
    this.#sequence += 10;
    const name = `${cut.bundle}-${cut.operation}-${this.#sequence}-${cut.who}-${cut.when}-${cut.state}`;
    const bundle = await release(name, this.#sequence - 1, cut.bundle === 'bad' ? badSwitch : undefined);
    try {
      await this.#cutAndJudge(cut, name, bundle);
    } catch (error) {
      await this.end();
      throw error;
    }
  }

  async end(): Promise<void> {
    await this.#vm?.cutPower();
    this.#vm = undefined;
    this.#stands = 'old';
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #cutAndJudge(cut: Cut, name: string, bundle: string): Promise<void> {
    let vm = await this.#cutAndRestart(cut, { name, bundle });
    this.#vm = vm;
    let rest = await restOf(vm, this.#sequence);
    if (rest.last === 'pending') {
      assert.equal(rest.motd, this.#stands, 'nothing runs before its start');
      await vm.powerOff();
      vm = await Vm.boot(this.#folder);
      this.#vm = vm;
      rest = await restOf(vm, this.#sequence);
    }
    const damage = await countDamage(vm);
    outcomes.push({ ...cut, running: rest.motd, last: rest.last, ...damage });
    assert.equal(damage.damaged, 0);
    assert.equal(rest.running, rest.installed, 'what runs is what is installed');
    assert.equal(rest.starts, rest.installed, 'what is installed is what starts');
    if (cut.bundle === 'good') {
      assert.deepEqual([rest.motd, rest.last], [name, 'committed']);
      this.#stands = name;
    } else {
      assert.equal(rest.motd, this.#stands, 'the old system');
      assert.ok(rest.last === 'none' || isEnd(rest.last as State), rest.last);
    }
  }

  /** Brings the machine to the point, cuts its power, starts it again. */
  async #cutAndRestart(cut: Cut, { name, bundle }: { name: string; bundle: string }): Promise<Vm> {
    const { who, when, state } = cut;
    if (this.#vm === undefined) {
      await copyDisk(this.#disk, this.#folder);
      this.#vm = await Vm.boot(this.#folder);
    }
    const vm = this.#vm;
    if (who !== 'confirm') await vm.sh(`echo "${who} ${when} ${state}" >/run/hold/at`);
    await dropBundle(vm, bundle, `${name}.tar`);
    await vm.sh(`sync ${inbox}/${name}.tar ${inbox} || sync`);
    await vm.until(who === 'confirm' ? `test -e ${inbox}/done/${name}.tar.txt` : 'test -e /run/hold/held');
    if (who !== 'confirm') await vm.cutPower();
    else {
      await vm.powerOff();
      const starting = await Vm.boot(this.#folder, [`nixmaker.hold=${who},${when},${state}`]);
      await starting.until('test -e /run/hold/held').finally(() => starting.cutPower());
    }
    return Vm.boot(this.#folder);
  }
}

/** Two machines suffer side by side. */
const lanes = [
  cuts.filter((c, i) => c.operation === 'switch' && i % 5 < 3),
  cuts.filter((c, i) => c.operation !== 'switch' || i % 5 >= 3),
];

describe('power cuts', { concurrency: 2 }, () => {
  for (const [lane, hers] of lanes.entries()) {
    describe(`machine ${lane + 1}`, { concurrency: 1 }, () => {
      const victims = {
        switch: new Victim(disks.switch, `switch-${lane}`),
        boot: new Victim(disks.boot, `boot-${lane}`),
      };
      after(async () => {
        await victims.switch.end();
        await victims.boot.end();
      });
      for (const cut of hers) {
        const { who, when, state, bundle, operation } = cut;
        test(`${operation}, ${bundle} system, power cut at ${who} ${when} ${state}`, async () => {
          // A machine that waits for its turn needs the memory of one that works.
          if (operation === 'boot') await victims.switch.end();
          await victims[operation].suffer(cut);
        });
      }
    });
  }
});

describe('between an import and its flush', { concurrency: 2 }, async () => {
  const good = await release('good', 10);
  for (const fate of ['stays', 'is gone'] as const) {
    test(`power cut when all paths are valid and none is flushed; the bundle ${fate}`, async () => {
      await withDisk(disks.switch, async (folder) => {
        const vm = await Vm.boot(folder);
        // The real sync, but for standing still first.
        const shim =
          '#!/bin/sh\ntouch /run/hold/held; while [ ! -e /run/hold/go ]; do sleep 0.05; done; exec /usr/bin/sync.real "$@"\n';
        await dropBundle(vm, good, '.web.tar');
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
        const rest = await restOf(again, 11);
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

describe('the control: Nix’s defaults, without our care', { concurrency: 2 }, async () => {
  const good = await release('good', 10);
  let damagedInAll = 0;
  for (let i = 1; i <= 2; i++) {
    test(`power cut after an import that Nix called done, ${i}`, async () => {
      await withDisk(disks.switch, async (folder) => {
        const vm = await Vm.boot(folder);
        await vm.sh('systemctl stop nixmaker.service');
        await vm.write('/root/web.tar', await readFile(good));
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
