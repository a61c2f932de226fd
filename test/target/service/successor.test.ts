/** When an agent makes room for another nixmaker. That systemd then starts it is for test/system/switcher.test.ts to show. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { Successor } from '../../../src/target/service/successor.ts';
import { rootInMemory } from '../../support/root-machine.ts';

const [old, next] = ['/nix/store/old/bin/nixmaker', '/nix/store/new/bin/nixmaker'];
const environment = { NOTIFY_SOCKET: '/run/systemd/notify', INVOCATION_ID: 'a1' };

/** An agent that was started from `old`; what is started from then on is `unit.program`. */
async function agent(t: TestContext, env: Record<string, string> = environment) {
  const unit = { program: old, answers: true, isUsable: true, isLocked: false };
  const made = await rootInMemory(t, {
    isLocked: () => unit.isLocked,
    answer: ([program, verb]) => {
      if (verb === 'check-policy') return unit.isUsable ? {} : { exitCode: 78, stderrTail: ['unknown key'] };
      if (program !== 'systemctl') return undefined;
      if (!unit.answers) return { exitCode: 1 };
      const stdout = `Restart=always\nExecStart={ path=${unit.program} ; argv[]=${unit.program} agent ; ignore_errors=no ; pid=1 }\nInvocationID=a1\n`;
      return { stdout };
    },
  });
  const successor = await Successor.open(made.machine, env);
  const said = () => made.events.map(({ event }) => event).filter((e) => e.startsWith('successor'));
  return { ...made, unit, successor, said };
}

test('where systemd would start another it is due, and says so', async (t) => {
  const { successor, unit, said } = await agent(t);
  assert.equal(await successor.isDue(), false);
  unit.program = next;
  assert.equal(await successor.isDue(), false, 'it is asked once a minute');
  successor.hint();
  assert.equal(await successor.isDue(), true);
  assert.deepEqual(said(), ['successor']);
});

test('another policy is another agent’s: it is due once, and not where the policy can’t be used', async (t) => {
  const { successor, unit, machine, said, events } = await agent(t);
  assert.equal(await successor.isDue(), false);
  const policy = machine.files.policy as string;
  await writeFile(policy, `${await readFile(policy, 'utf8')} `);
  unit.isUsable = false;
  for (const _ of [1, 2]) {
    successor.hint();
    assert.equal(await successor.isDue(), false);
  }
  assert.deepEqual(said(), ['successor-unusable']);
  unit.isUsable = true;
  successor.hint();
  assert.equal(await successor.isDue(), true);
  assert.match(String(events.find((e) => e.event === 'successor')?.detail), /policy or settings changed/);
  assert.equal(await (await Successor.open(machine, environment)).isDue(), false);
});

test('without a run it is looked for once a minute', async (t) => {
  const { successor, unit, machine } = await agent(t);
  assert.equal(await successor.isDue(), false);
  unit.program = next;
  await machine.clock.sleep(61_000);
  assert.equal(await successor.isDue(), true);
});

test('under a run of a person’s it is not due, and is afterwards', async (t) => {
  const { successor, unit } = await agent(t);
  unit.program = next;
  unit.isLocked = true;
  assert.equal(await successor.isDue(), false);
  unit.isLocked = false;
  successor.hint();
  assert.equal(await successor.isDue(), true);
});

test('one that can’t use the policy is told once, and waited with', async (t) => {
  const { successor, unit, said, events } = await agent(t);
  unit.program = next;
  unit.isUsable = false;
  for (const _ of [1, 2]) {
    assert.equal(await successor.isDue(), false);
    successor.hint();
  }
  assert.deepEqual(said(), ['successor-unusable']);
  assert.match(String(events.find((e) => e.event === 'successor-unusable')?.detail), /unknown key/);
  unit.isUsable = true;
  assert.equal(await successor.isDue(), true);
});

test('where systemd does not answer nothing is concluded', async (t) => {
  const { successor, unit } = await agent(t);
  unit.program = next;
  unit.answers = false;
  assert.equal(await successor.isDue(), false);
});

for (const [what, env] of [
  ['by hand', { INVOCATION_ID: 'a1' }],
  ['by another unit', { ...environment, INVOCATION_ID: 'b2' }],
] as const)
  test(`an agent that was started ${what} is followed by nobody`, async (t) => {
    const { successor, unit } = await agent(t, { ...env });
    unit.program = next;
    assert.equal(await successor.isDue(), false);
  });
