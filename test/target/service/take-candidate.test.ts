/** What becomes of a file of the inbox, where its run is over before it has begun to change anything. */
import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { exitCodes, NixmakerError } from '../../../src/core/errors.ts';
import { makeTrustSet } from '../../../src/signing/verify.ts';
import type { Machine } from '../../../src/target/machine/machine.ts';
import type { Root } from '../../../src/target/machine/root.ts';
import type { InboxQueue } from '../../../src/target/service/inbox-queue.ts';
import { takeCandidate } from '../../../src/target/service/take-candidate.ts';
import type { InHand } from '../../../src/target/update/in-hand.ts';
import { pair, temporaryFolder } from '../../support/bundles.ts';
import { rootInMemory } from '../../support/root-machine.ts';

interface Scene {
  /** Since it was looked at: before its run, or in its midst. */
  readonly changes?: 'before' | 'meanwhile';
  readonly why?: string;
  /** What goes wrong before the file is looked into. */
  readonly fault?: Error;
}

/** A file that is no bundle, alone in an inbox. */
async function taken(t: TestContext, { changes, why, fault }: Scene) {
  const inbox = join(await temporaryFolder(t), 'inbox');
  await mkdir(inbox);
  const path = join(inbox, 'web.tar');
  await writeFile(path, 'no bundle at all'.repeat(100));
  const { machine, events } = await rootInMemory(t, { settings: { inbox } });
  const deferred: string[] = [];
  let looks = 0;
  const queue = {
    defer: async ({ candidate }: { candidate: { path: string } }) => void deferred.push(candidate.path),
    hasChanged: async () => {
      looks += 1;
      return changes === 'before' || (changes === 'meanwhile' && looks > 1);
    },
    done: () => undefined,
    knownWait: () => undefined,
    hasRested: () => true,
    markStuck: async () => undefined,
  } as unknown as InboxQueue;
  const inHand = { taking: (_: unknown, work: () => unknown) => work() } as unknown as InHand;
  const resume = async () => {
    if (fault !== undefined) throw fault;
    return [];
  };
  const candidate = { format: 'bundle', path } as const;
  const look =
    why === undefined
      ? ({ action: 'take', candidate, fingerprint: '', isGood: false } as const)
      : ({ action: 'set-aside', candidate, fingerprint: '', code: 'cut-off-before', why } as const);
  // Its time passes at once, and with it the deadline of each read.
  const clock = { ...machine.clock, sleep: () => new Promise<never>(() => undefined) };
  const exit = await takeCandidate({ ...machine, clock, trust: makeTrustSet([pair.public], 1) } as Machine, {
    ...{ root: { resume } as unknown as Root, queue, inHand, look },
  });
  const told = events.filter((e) => e.event === 'waiting' || e.event === 'fault').at(-1);
  const end = events.find((e) => e.event === 'refused');
  return { exit, told, end, deferred, path, left: await readdir(inbox) };
}

test('what is no bundle is refused and moved out of the way', async (t) => {
  const { exit, end, told, left } = await taken(t, {});
  assert.deepEqual([exit, end?.code, told], [exitCodes.badBundle, 'not-a-bundle', undefined]);
  assert.match(String(end?.detail), /^it does not begin with a manifest$/);
  assert.deepEqual(left, ['refused']);
});

for (const changes of ['before', 'meanwhile'] as const)
  test(`what has changed since it was looked at, ${changes}, is somebody’s copy: it stays where it is`, async (t) => {
    const { exit, told, end, path, left } = await taken(t, { changes });
    assert.equal(exit, exitCodes.deferred);
    assert.deepEqual(
      [told?.event, told?.source, told?.code, told?.detail],
      ['waiting', path, 'unsettled', 'it changed after it was looked at'],
    );
    assert.deepEqual(left, ['web.tar']);
    assert.equal(end === undefined, changes === 'before', 'nobody is blamed for what was not looked at');
  });

test('what has ended the agent too often is set aside, and nobody looks into it', async (t) => {
  const { exit, end, left } = await taken(t, { why: '3 times in a row' });
  assert.deepEqual([exit, left], [exitCodes.refusedByPolicy, ['refused']]);
  assert.deepEqual([end?.code, end?.detail], ['cut-off-before', '3 times in a row']);
});

test('where something else goes wrong it waits for its turn, and its neighbours have theirs', async (t) => {
  const busy = await taken(t, { fault: new NixmakerError('busy', 'held') });
  assert.deepEqual([busy.exit, busy.told?.code, busy.told?.detail], [exitCodes.deferred, 'busy', 'held']);
  assert.deepEqual([busy.deferred, busy.left], [[busy.path], ['web.tar']]);
  const fault = await taken(t, { fault: new TypeError('x is undefined') });
  assert.deepEqual([fault.exit, fault.told?.event], [exitCodes.fault, 'fault']);
  assert.deepEqual([fault.deferred, fault.left], [[fault.path], ['web.tar']]);
});
