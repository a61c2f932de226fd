/** Root looked at a request and could not write its answer: its disk is full, or fails. The agent does not wait for hours. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { repairRequests, roomRequests, stagedRequests } from '../../../src/state/requests.ts';
import { activateStaged } from '../../../src/target/ask/ask-staged.ts';
import { rootByRequest } from '../../../src/target/ask/by-request.ts';
import type { Machine } from '../../../src/target/machine/machine.ts';
import type { AskedRoom } from '../../../src/target/machine/root.ts';
import { serveStaged } from '../../../src/target/root/staged.ts';
import { askedRoot } from '../../support/asked-root.ts';
import { makeTestRelease } from '../../support/bundles.ts';

const good = makeTestRelease();
const shut = { window: { from: '02:00', to: '03:00' } };
const id = 'ab'.repeat(6);

/** The agent of that machine, beside a root that does this while the agent waits. */
async function agentBeside(t: Parameters<typeof askedRoot>[0], whileWaiting: (n: number) => Promise<void>) {
  let sleeps = 0;
  const asked = await askedRoot(t, good, {
    policy: shut,
    onSleep: () => whileWaiting(++sleeps),
  });
  const { machine } = asked;
  const { stateDirectory } = machine.settings;
  const settings = {
    ...machine.settings,
    ...{ stateDirectory: machine.requestsDirectory, activationDirectory: stateDirectory },
    runtimeDirectory: machine.requestsDirectory,
  };
  const agent = { ...machine, role: 'agent', settings } as unknown as Machine;
  return { ...asked, agent, waited: () => machine.clock.monotonic() };
}

const seconds = 1000;

test('what is staged: root’s disk is full when it is to say that it waits on', async (t) => {
  const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  let isFull = false;
  const made = await agentBeside(t, async () => {
    isFull = true;
    await assert.rejects(serveStaged(made.machine), /ENOSPC/);
    isFull = false;
  });
  assert.equal((await made.activate(good, 1))?.state, 'staged');
  const { now } = made.machine.clock;
  Object.assign(made.machine.clock, {
    now: () => {
      if (isFull) throw full;
      return now();
    },
  });
  await assert.rejects(activateStaged(made.agent), { code: 'busy', detail: /could not answer.*journalctl/ });
  assert.ok(made.waited() < 2 * seconds);
});

test('an answer that comes just before the request goes is read', async (t) => {
  const made = await agentBeside(t, () => serveStaged(made.machine));
  assert.equal((await made.activate(good, 1))?.state, 'staged');
  assert.equal((await activateStaged(made.agent))?.state, 'staged');
});

for (const [what, { folder }, ask] of [
  ['a repair', repairRequests, (agent: Machine) => rootByRequest(agent).repair()],
  [
    'room',
    roomRequests,
    (agent: Machine) => {
      const { release, manifestBytes, signatureBytes } = good;
      const asked = {
        transaction: { id, emit: () => undefined },
        release: { head: { manifestBytes, signatureBytes }, index: release.index },
      };
      return rootByRequest(agent).makeRoom(asked as unknown as AskedRoom);
    },
  ],
] as const)
  test(`${what}: the request goes without an answer`, async (t) => {
    const made = await agentBeside(t, () =>
      rm(join(made.machine.requestsDirectory, folder, `${id}.json`), { force: true }),
    );
    await assert.rejects(ask(made.agent), { code: 'busy', detail: /could not answer/ });
    assert.ok(made.waited() < 2 * seconds);
  });

test('a request that root has not looked at yet is waited for', async (t) => {
  const made = await agentBeside(t, async (n) => {
    if (n === 100) await serveStaged(made.machine);
  });
  assert.equal((await made.activate(good, 1))?.state, 'staged');
  assert.equal((await activateStaged(made.agent))?.state, 'staged');
  assert.ok(made.waited() > 10 * seconds);
  assert.equal(stagedRequests.folder, 'staged');
});
