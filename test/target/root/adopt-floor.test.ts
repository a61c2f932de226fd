/** An operator’s word on a floor that was lost: never lower than what the journal says. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { raiseFloor, readFloor, recordPath } from '../../../src/state/floor.ts';
import { raiseKnownFloor } from '../../../src/target/machine/floor.ts';
import { adoptFloor, adoptTime } from '../../../src/target/root/adopt-floor.ts';
import { rootInMemory } from '../../support/root-machine.ts';

/** The journal says that sequence 5 was committed, and the floor is gone. */
async function lost(t: TestContext) {
  const made = await rootInMemory(t);
  await made.write({ state: 'committed', operation: 'switch' });
  return made;
}

test('a lost floor comes back as the journal says', async (t) => {
  const { machine, events } = await lost(t);
  const adopted = await adoptFloor(machine, undefined);
  assert.deepEqual([adopted.sequence, adopted.manifestDigest], [5, 'd'.repeat(64)]);
  assert.deepEqual((await readFloor(machine.floorDirectory)).floor, adopted);
  assert.equal(events.at(-1)?.event, 'floor-adopted');
});

test('where the record beside the generations can’t be written, the floor stands all the same, and it is told', async (t) => {
  const { machine, events } = await lost(t);
  await mkdir(recordPath(machine.settings.profile), { recursive: true });
  const next = {
    schema: 1,
    sequence: 8,
    manifestDigest: 'e'.repeat(64),
    createdAt: '2026-11-24T12:00:00Z',
  } as const;
  await raiseKnownFloor(machine, next);
  assert.deepEqual((await readFloor(machine.floorDirectory)).floor, next);
  assert.match(String(events.find(({ event }) => event === 'floor-not-recorded')?.detail), /EISDIR/);
});

test('what an operator knows better counts, and no bundle of that sequence is taken', async (t) => {
  const { machine } = await lost(t);
  const adopted = await adoptFloor(machine, 8);
  assert.deepEqual([adopted.sequence, adopted.manifestDigest], [8, '0'.repeat(64)]);
  assert.equal(adopted.createdAt, '2026-11-23T12:00:00Z', 'the newest signed time is kept');
});

test('the operator’s word for what the journal says as well is the journal’s', async (t) => {
  const { machine } = await lost(t);
  assert.equal((await adoptFloor(machine, 5)).manifestDigest, 'd'.repeat(64));
});

test('it can’t be lower than what was taken', async (t) => {
  const { machine } = await lost(t);
  await assert.rejects(adoptFloor(machine, 4), {
    code: 'usage',
    detail: /it took sequence 5; the floor cannot be lower/,
  });
  assert.equal((await readFloor(machine.floorDirectory)).floor, undefined);
});

test('a floor that is not lost stays', async (t) => {
  const { machine } = await lost(t);
  await adoptFloor(machine, undefined);
  await assert.rejects(adoptFloor(machine, 9), { code: 'usage', detail: 'the floor is not lost: it is 5' });
  const fresh = await rootInMemory(t);
  await assert.rejects(adoptFloor(fresh.machine, 9), {
    code: 'usage',
    detail: 'the floor is not lost: no bundle was taken yet',
  });
});

test('where nothing says what it was, it has to be said', async (t) => {
  const { machine } = await rootInMemory(t);
  const floor = { schema: 1, sequence: 3, manifestDigest: 'e'.repeat(64) } as const;
  await raiseFloor(machine.floorDirectory, { ...floor, createdAt: '2026-01-01T00:00:00Z' });
  for (const copy of ['a', 'b']) await writeFile(join(machine.floorDirectory, `floor.${copy}`), 'damaged');
  await assert.rejects(adoptFloor(machine, undefined), { code: 'usage', detail: /pass --sequence/ });
  const adopted = await adoptFloor(machine, 3);
  assert.deepEqual([adopted.sequence, adopted.createdAt], [3, '1970-01-01T00:00:00Z']);
});

/** Sequence 5 was taken, signed for the 23rd. */
async function taken(t: TestContext) {
  const made = await lost(t);
  await adoptFloor(made.machine, undefined);
  return made;
}

test('the newest signed time comes back by an operator’s word, and the sequence stays', async (t) => {
  const { machine, events } = await taken(t);
  const corrected = await adoptTime(machine, '2026-11-23T11:59:59Z');
  const { floor } = await readFloor(machine.floorDirectory);
  assert.deepEqual([floor, floor?.sequence, floor?.createdAt], [corrected, 5, '2026-11-23T11:59:59Z']);
  const last = events.at(-1);
  assert.deepEqual(
    [last?.event, last?.from, last?.to],
    ['time-adopted', '2026-11-23T12:00:00Z', '2026-11-23T11:59:59Z'],
  );
});

test('it is brought back only, and only where there is one to bring back', async (t) => {
  const { machine } = await taken(t);
  for (const time of ['2026-11-23T12:00:00Z', '2026-11-24T00:00:00Z'])
    await assert.rejects(adoptTime(machine, time), { code: 'usage', detail: /seen is 2026-11-23T12:00:00Z/ });
  assert.equal((await readFloor(machine.floorDirectory)).floor?.createdAt, '2026-11-23T12:00:00Z');
  const gone = await lost(t);
  await assert.rejects(adoptTime(gone.machine, '2026-01-02T00:00:00Z'), {
    code: 'usage',
    detail: /^the floor is lost; adopt it first.*sequence 5/,
  });
  const fresh = await rootInMemory(t);
  await assert.rejects(adoptTime(fresh.machine, '2026-01-02T00:00:00Z'), {
    code: 'usage',
    detail: 'no bundle was taken yet, so no signed time was seen',
  });
});
