/** Around a start of the machine: what a person's word, the end of their time, and a restart in between come to, to the second. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { JournalRecord } from '../../../src/core/run/journal.ts';
import { raiseFloor } from '../../../src/state/floor.ts';
import { judgePending } from '../../../src/target/activate/judge-pending.ts';
import { resumeStopped } from '../../../src/target/activate/resume.ts';
import { hold } from '../../../src/target/machine/held.ts';
import { confirmAtDeadline, confirmAtStart, confirmByHand } from '../../../src/target/root/confirm.ts';
import { readHardware } from '../../../src/target/root/hardware.ts';
import { gatherNow } from '../../../src/target/root/host-facts.ts';
import { restartMachine } from '../../../src/target/root/reboot.ts';
import { temporaryFolder } from '../../support/bundles.ts';
import {
  lastBoot,
  type Making,
  newSystem,
  oldSystem,
  rootInMemory,
  thisBoot,
} from '../../support/root-machine.ts';

const came = { booted: newSystem, running: newSystem, generations: [oldSystem, newSystem] };
const rebootAsked = 'systemctl start --no-block nixmaker-reboot.service';

async function scene(t: TestContext, making: Making, ...records: readonly Partial<JournalRecord>[]) {
  const made = await rootInMemory(t, making);
  await made.write(...records);
  return { ...made, programs: () => made.started.map(({ argv }) => argv.join(' ')) };
}

test('at the end of a person’s time the previous system comes back, and what runs is left by a restart', async (t) => {
  const late = { askedIn: thisBoot, confirmBy: 50 };
  const { machine, programs } = await scene(t, { ...came, policy: { reboot: { when: 'always' } } }, late);
  const receipt = await confirmAtDeadline(machine);
  assert.deepEqual([receipt?.state, receipt?.code], ['rolled-back', 'not-confirmed']);
  // The profile’s link does not move here.
  assert.ok(programs().some((line) => line.includes('--switch-generation 1')));
});

test('whoever holds the lock at the end of a person’s time, such as a long collection, only puts the way back off', async (t) => {
  const { machine } = await scene(t, came, { askedIn: thisBoot, confirmBy: 50 });
  const heldFor = 3600;
  const hold: typeof machine.hold = async (_, args) => {
    const wait = Number(args[args.indexOf('--timeout') + 1]);
    return wait > heldFor ? { release: async () => undefined } : undefined;
  };
  const receipt = await confirmAtDeadline({ ...machine, hold });
  assert.deepEqual([receipt?.state, receipt?.code], ['rolled-back', 'not-confirmed']);
});

test('the deadline asks for the restart that is due, also where it has nothing to judge', async (t) => {
  const policy = { reboot: { when: 'always' } };
  const waits = { booted: oldSystem, running: oldSystem, generations: [oldSystem, newSystem], policy };
  const { machine, programs } = await scene(t, waits, { bootId: thisBoot });
  assert.equal(await confirmAtDeadline(machine), undefined);
  assert.deepEqual(programs(), [rebootAsked]);
  const started = await scene(t, waits, { bootId: thisBoot });
  assert.equal(await confirmAtStart(started.machine), undefined);
  assert.deepEqual(started.programs(), [rebootAsked]);
});

test('a person’s time ends with its last second', async (t) => {
  for (const [confirmBy, plan] of [
    [100, 'rolled-back'],
    [100.5, undefined],
  ] as const) {
    const { machine } = await scene(t, came, { askedIn: thisBoot, confirmBy });
    assert.equal((await judgePending(machine, 'deadline'))?.state, plan);
  }
});

test('under systemd the end of a person’s time is a unit of its own, a second after', async (t) => {
  const policy = { boot: { confirm: 'manual', within: 300 } };
  const { machine, started } = await scene(t, { ...came, policy, settings: { activation: 'systemd' } }, {});
  const receipt = await judgePending(machine, 'start');
  assert.equal(receipt?.state, 'pending');
  const argv = started.map((s) => s.argv).find(([program]) => program === 'systemd-run') ?? [];
  assert.ok(argv.includes('--on-active=301'), argv.join(' '));
  assert.ok(argv.includes(`--unit=nixmaker-confirm-deadline-${receipt?.transaction}`));
  assert.deepEqual(argv.slice(-4), ['systemctl', 'start', '--no-block', 'nixmaker-deadline.service']);
});

test('by hand what was cut off is told where nothing waits to be confirmed; what was put off is not', async (t) => {
  const cut = { state: 'rolling-back', code: 'health-failed', detail: 'x', bootId: thisBoot } as const;
  const { machine } = await scene(t, { ...came, running: oldSystem, booted: oldSystem }, cut);
  const receipt = await confirmByHand(machine);
  assert.deepEqual([receipt?.state, receipt?.code], ['rolled-back', 'health-failed']);
  const begun = await scene(t, came, { state: 'verified', bootId: undefined });
  assert.equal(await confirmByHand(begun.machine), undefined);
  assert.equal((await begun.runs())[0]?.state, 'deferred');
});

test('a run that had changed nothing when the machine stopped is not waited for at the start', async (t) => {
  const slept: number[] = [];
  const onSleep = (ms: number) => void slept.push(ms);
  const begun = { transaction: 'aaaaaaaaaaaa', state: 'accepted', bootId: undefined } as const;
  const { machine } = await scene(t, { ...came, onSleep }, begun, { bootId: lastBoot });
  const receipt = await confirmAtStart(machine);
  assert.deepEqual([receipt?.transaction, receipt?.state, slept], ['0123456789ab', 'committed', []]);
});

test('a run of this boot that is still at work is not waited for at the start', async (t) => {
  const slept: number[] = [];
  const onSleep = (ms: number) => void slept.push(ms);
  const begun = { transaction: 'aaaaaaaaaaaa', state: 'accepted', bootId: thisBoot } as const;
  const { machine } = await scene(t, { ...came, onSleep }, begun, { bootId: lastBoot });
  assert.equal((await confirmAtStart(machine))?.state, 'committed');
  assert.deepEqual(slept, []);
});

test('in one process, what was installed for a start is judged once it has come; its receipt stands for the run', async (t) => {
  const { machine } = await scene(
    t,
    { ...came, role: 'direct' },
    { bootId: lastBoot },
    {
      ...{ transaction: 'aaaaaaaaaaaa', state: 'verified', bootId: undefined },
    },
  );
  const receipts = await resumeStopped(machine);
  assert.deepEqual(
    receipts.map((r) => [r.transaction, r.state]),
    [
      ['aaaaaaaaaaaa', 'deferred'],
      ['0123456789ab', 'committed'],
    ],
  );
  const beside = await scene(t, came, { bootId: lastBoot });
  assert.deepEqual(await resumeStopped(beside.machine), [], 'beside an agent its own unit does it');
});

test('a restart waits for as many seconds as the policy says, and comes back when the window opens, to the second', async (t) => {
  const waits = { booted: oldSystem, running: oldSystem, generations: [oldSystem, newSystem] };
  const slept: number[] = [];
  const policy = { reboot: { when: 'always', delay: 7, window: { from: '14:00', to: '15:00' } } };
  const onSleep = (ms: number) => void slept.push(ms);
  const { machine, started, events } = await scene(t, { ...waits, policy, onSleep }, { bootId: thisBoot });
  await restartMachine(machine, new AbortController().signal);
  assert.deepEqual(slept, [7000]);
  const argv = started[0]?.argv ?? [];
  // From 12:00:07 on.
  assert.ok(argv.includes(`--on-active=${2 * 3600 - 7}`), argv.join(' '));
  assert.ok(argv.includes(`--unit=nixmaker-reboot-again-${process.pid}`));
  assert.deepEqual(
    events.map((e) => [e.event, e.seconds]),
    [
      ['reboot-soon', 7],
      ['reboot-waits', 7193],
    ],
  );
});

test('how the machine is, for the desk: what runs, what is installed and held, room, versions, and all that it has', async (t) => {
  const info = {
    narHash: `sha256-${Buffer.alloc(32).toString('base64')}`,
    narSize: 1,
    references: [],
    signatures: [],
  };
  const folder = await temporaryFolder(t);
  const { machine } = await scene(
    t,
    {
      ...{ booted: oldSystem, running: newSystem, generations: [oldSystem, newSystem] },
      settings: { activation: 'systemd', bootDirectory: folder },
      answer: (argv) => {
        if (argv.includes('list-units'))
          return { stdout: 'a.service loaded failed failed A\nb.service loaded failed failed B\n' };
        if (argv.includes('--version')) return { stdout: `nix (Nix) ${'9'.repeat(200)}\n` };
        if (argv.includes('path-info')) return { stdout: JSON.stringify({ [newSystem]: info }) };
        if (argv.includes('--requisites')) return { stdout: `${oldSystem}\n${newSystem}\n` };
        return undefined;
      },
    },
    {},
  );
  const floor = { schema: 1, sequence: 5, manifestDigest: 'd'.repeat(64) } as const;
  await raiseFloor(machine.floorDirectory, { ...floor, createdAt: '2026-11-01T00:00:00Z' });
  await hold(machine, 6, 'x');
  const now = await gatherNow(machine);
  assert.deepEqual(
    [now.booted, now.running, now.installed, now.generation, now.generations, now.floor, now.held],
    [oldSystem, newSystem, newSystem, 2, [1, 2], 5, [6]],
  );
  assert.deepEqual(now.failedUnits, ['a.service', 'b.service']);
  assert.equal(now.versions.nix?.length, 128);
  assert.equal(now.versions.nixos, undefined, 'this system has no such file');
  const boot = now.space.find((s) => s.path === folder);
  assert.ok(boot !== undefined && boot.freeBytes > 4096 && boot.totalBytes >= boot.freeBytes);
  assert.equal(boot.totalBytes % 512, 0);
  if (now.paths !== undefined) {
    const names = gunzipSync(Buffer.from(now.paths.gzip, 'base64')).toString().split('\n');
    assert.equal(names.length, now.paths.count + 1);
  }
});

test('the model is what firmware says: SMBIOS or, where there is none, the device tree', async (t) => {
  const write = async (parts: Readonly<Record<string, string>>) => {
    const sys = await temporaryFolder(t);
    for (const [name, text] of Object.entries(parts)) {
      await mkdir(dirname(join(sys, name)), { recursive: true });
      await writeFile(join(sys, name), text);
    }
    return readHardware(sys);
  };
  const tree = { 'firmware/devicetree/base/model': 'Raspberry Pi 4 Model B Rev 1.4\0' };
  assert.equal(await write({}), undefined);
  assert.equal(await write(tree), 'Raspberry Pi 4 Model B Rev 1.4');
  const dmi = {
    'class/dmi/id/sys_vendor': 'LENOVO\n',
    'class/dmi/id/product_name': `20KG\u001b[2J${'x'.repeat(300)}\n`,
  };
  const found = await write({ ...tree, ...dmi });
  assert.ok(found?.startsWith('LENOVO 20KG') && found.length === 256 && !/\p{Cc}/u.test(found), found);
});

test('of units that failed a thousand are named', async (t) => {
  const listed = Array.from({ length: 1001 }, (_, n) => `u${n}.service loaded failed failed U`);
  const { machine } = await scene(t, {
    settings: { activation: 'systemd' },
    answer: (argv) => (argv.includes('list-units') ? { stdout: listed.join('\n') } : { exitCode: 1 }),
  });
  const { failedUnits } = await gatherNow(machine);
  assert.deepEqual(
    [failedUnits?.length, failedUnits?.[0], failedUnits?.at(-1)],
    [1000, 'u0.service', 'u999.service'],
  );
});

test('of what can’t be found out nothing is said, and of a long name so much', async (t) => {
  const folder = await temporaryFolder(t);
  const running = join(folder, 'running');
  await mkdir(running);
  await writeFile(join(running, 'nixos-version'), `${'v'.repeat(300)}\n`);
  const { machine } = await scene(t, {
    settings: { currentSystem: running, bootDirectory: join(folder, 'none') },
    answer: () => ({ exitCode: 1 }),
  });
  const now = await gatherNow(machine);
  assert.equal(now.versions.nixos, 'v'.repeat(256));
  assert.deepEqual(
    [now.held, now.floor, now.paths, now.failedUnits],
    [undefined, undefined, undefined, undefined],
  );
  assert.ok(now.space.every((s) => !s.path.includes('none')));
});
