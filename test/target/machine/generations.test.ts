/** Which generations stay on a machine: by its links, its journal, what is held, and the policy. */
import assert from 'node:assert/strict';
import { lutimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { JournalRecord } from '../../../src/core/run/journal.ts';
import { writeHeldFile } from '../../../src/state/held.ts';
import { lookAtGenerations } from '../../../src/target/machine/generations.ts';
import { storePathOf } from '../../support/releases.ts';
import { type Making, rootInMemory } from '../../support/root-machine.ts';

const system = (n: number) => storePathOf(n, `nixos-system-${n}`);
const seven = [1, 2, 3, 4, 5, 6, 7].map(system);
const well = { generations: seven, running: system(7), booted: system(7) };
const longAgo = new Date('2026-01-01T00:00:00Z');

async function look(
  t: TestContext,
  {
    records = [],
    held,
    isOneComing = false,
    ...making
  }: Making & {
    readonly records?: readonly Partial<JournalRecord>[];
    readonly held?: readonly number[];
    readonly isOneComing?: boolean;
  },
) {
  const { machine, write } = await rootInMemory(t, making);
  for (const n of seven.keys()) await lutimes(`${machine.settings.profile}-${n + 1}-link`, longAgo, longAgo);
  await write(...records);
  if (held !== undefined) {
    const releases = held.map((sequence) => ({ sequence, floor: 1000, since: 'then', because: 'why' }));
    await writeHeldFile(machine.floorDirectory, { number: 1, releases });
  }
  const { kept, surplus } = await lookAtGenerations(machine, { isOneComing });
  return { kept: Object.fromEntries(kept), surplus: surplus.map((g) => g.number), machine };
}

test('what is installed, runs and was booted stays, and the newest', async (t) => {
  const { kept, surplus } = await look(t, { ...well, running: system(5), booted: system(2) });
  assert.deepEqual(kept, { 2: 'booted', 5: 'running', 6: 'newest', 7: 'installed' });
  assert.deepEqual(surplus, [1, 3, 4]);
});

test('with one that is coming, what is installed is what there is to go back to', async (t) => {
  assert.deepEqual((await look(t, { ...well, isOneComing: true })).surplus, [1, 2, 3, 4, 5, 6]);
});

test('what a pending run has installed, and would go back to, stays', async (t) => {
  const records = [
    {
      state: 'pending',
      generation: 6,
      toplevel: system(6),
      previousGeneration: 3,
      previousToplevel: system(3),
    },
  ] as const;
  const { kept } = await look(t, { ...well, isOneComing: true, records });
  assert.deepEqual(kept, { 3: 'previous', 6: 'pending', 7: 'installed' });
});

test('so does what a run that is not over relies on, one that a person chose among it', async (t) => {
  const records = [
    {
      state: 'switched',
      generation: 5,
      toplevel: system(5),
      targetGeneration: 4,
      previousGeneration: 2,
      previousToplevel: system(2),
    },
  ] as const;
  const { kept } = await look(t, { ...well, isOneComing: true, records });
  assert.deepEqual(kept, { 2: 'previous', 4: 'under-way', 5: 'under-way', 7: 'installed' });
});

test('after a commit what it came from stays; before the next it may go, and the commit itself not', async (t) => {
  const records = [
    {
      state: 'committed',
      generation: 7,
      toplevel: system(7),
      previousGeneration: 3,
      previousToplevel: system(3),
    },
  ] as const;
  assert.deepEqual((await look(t, { ...well, records })).kept, {
    3: 'previous',
    6: 'newest',
    7: 'installed',
  });
  assert.deepEqual((await look(t, { ...well, records, isOneComing: true })).surplus, [1, 2, 3, 4, 5, 6]);
  // A person has switched by hand since.
  const byHand = [{ ...records[0], generation: 4, toplevel: system(4) }] as const;
  assert.deepEqual((await look(t, { ...well, records: byHand, isOneComing: true })).kept, {
    4: 'previous',
    7: 'installed',
  });
});

test('a release that is held stays; where nobody knows which are, all do', async (t) => {
  const records = [
    {
      state: 'committed',
      generation: 4,
      toplevel: system(4),
      sequence: 40,
      previousGeneration: 4,
      previousToplevel: system(4),
    },
  ] as const;
  const later = {
    state: 'committed',
    generation: 7,
    toplevel: system(7),
    sequence: 70,
    transaction: 'b'.repeat(12),
  } as const;
  const { kept, machine } = await look(t, {
    ...well,
    isOneComing: true,
    records: [...records, later],
    held: [40],
  });
  assert.deepEqual(kept, { 4: 'held', 7: 'installed' });
  for (const copy of ['a', 'b']) await writeFile(join(machine.floorDirectory, `held.${copy}`), 'damaged');
  assert.deepEqual((await lookAtGenerations(machine, { isOneComing: true })).surplus, []);
});

test('the policy’s number and days count', async (t) => {
  const retention = { generations: 5, generationDays: 0 };
  assert.deepEqual((await look(t, { ...well, policy: { retention } })).surplus, [1, 2]);
  const days = { generations: 2, generationDays: 365 };
  assert.deepEqual((await look(t, { ...well, policy: { retention: days } })).surplus, []);
});

test('a machine without a profile has none', async (t) => {
  const { machine } = await rootInMemory(t, {});
  assert.deepEqual(await lookAtGenerations(machine, { isOneComing: true }), {
    all: [],
    kept: new Map(),
    surplus: [],
  });
});
