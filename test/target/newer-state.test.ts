/**
 * A machine that was rolled back to a system whose nixmaker is older than the one that has written its state: floor, holds, journal and
 * record have fields, schemas, states, codes and lines that this one has never heard of. It goes on all the same, and forgets nothing.
 */
import assert from 'node:assert/strict';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readChecksummed, withChecksum } from '../../src/state/checksummed.ts';
import type { Diagnosis } from '../../src/target/inspect/found.ts';
import type { History, Status } from '../../src/target/inspect/status.ts';
import type { Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { Targets, take } from '../support/targets.ts';

const targets = new Targets(await makeWorkshop());
const [two, three, four] = (await Promise.all(
  [2, 3, 4].map((sequence) => targets.release(`newer-${sequence}`, '--sequence', `${sequence - 1}`)),
)) as [string, string, string];

/** As a later version would write it: another schema, and more in it. */
async function rewrite(path: string): Promise<void> {
  const value = readChecksummed((await readFile(path, 'utf8')).trimEnd()) as Record<string, unknown>;
  const releases = value.releases as object[] | undefined;
  const more = releases === undefined ? {} : { releases: releases.map((r) => ({ ...r, by: 'a person' })) };
  await writeFile(path, withChecksum({ ...value, ...more, schema: 2, witness: { of: ['the future'] } }));
}

async function byNewerNixmaker(target: Target): Promise<void> {
  const record = join(target.root, 'nix/var/nix/profiles/system.floor');
  for (const name of ['floor.a', 'floor.b', 'held.a', 'held.b'])
    await rewrite(join(target.stateDirectory, name));
  await rewrite(record);
}

/** Lines that follow in the journal. */
const append = (target: Target, lines: readonly object[]) =>
  appendFile(join(target.stateDirectory, 'journal'), lines.map(withChecksum).join(''));

const json = async <T>(target: Target, verb: string): Promise<T> =>
  JSON.parse((await target.verb(verb, ['--json'])).stdout) as T;

test('what a newer nixmaker has written costs neither floor nor holds, and keeps no bundle out', async () => {
  const target = await targets.fresh();
  const old = await take(target, 'switch', two);
  const newer = await take(target, 'switch', three);
  assert.equal((await target.verb('rollback')).code, 0);
  await byNewerNixmaker(target);
  const at = new Date().toISOString();
  const line = (transaction: string, state: string, more = {}) => ({
    ...{ schema: 1, at, transaction, state, source: 'web.tar', sequence: 3, ...more },
  });
  await append(target, [
    line('111111111111', 'switched', { toplevel: newer.toplevel, bootId: 'x', operation: 'switch' }),
    line('111111111111', 'quarantined', { code: 'virus-found' }),
    line('222222222222', 'pending', { toplevel: newer.toplevel, bootId: 'x', operation: 'boot' }),
    { ...line('222222222222', 'committed'), schema: 2 },
    { schema: 3, at, observed: 'something' },
    line('333333333333', 'failed', { code: 'virus-found', detail: 'in the future' }),
  ]);

  const status = await json<Status>(target, 'status');
  assert.deepEqual([status.floor?.sequence, status.floorLost], [3, undefined]);
  assert.deepEqual([status.held.map((h) => h.sequence), status.heldLost], [[3], undefined]);
  assert.deepEqual([status.standing, status.awaiting, status.newer], [undefined, undefined, 3]);
  const text = (await target.verb('status')).stdout;
  assert.match(
    text,
    /^Journal: +3 lines of the journal were written by a newer nixmaker, and were\s+skipped$/m,
  );
  assert.match(text, /^Last bundle: +failed \(virus-found\): web\.tar$/m);
  const { checks } = await json<{ checks: Diagnosis[] }>(target, 'doctor');
  const journal = checks.find(({ check }) => check === 'journal');
  assert.deepEqual([journal?.verdict, /newer nixmaker/.test(journal?.what ?? '')], ['ok', true]);
  const { runs } = await json<History>(target, 'history');
  assert.ok(!runs.some((r) => r.transaction === '111111111111'), 'of that one nobody here knows the end');

  // What was left is held, what is older is refused, and what is newer is taken.
  assert.equal((await take(target, 'switch', three)).code, 'release-held');
  assert.equal((await take(target, 'switch', two)).code, 'sequence-older');
  assert.equal(await target.currentSystem(), old.toplevel, 'no run of the newer one was gone on with');
  const taken = await take(target, 'switch', four);
  assert.equal(taken.state, 'committed', taken.detail);
  assert.equal((await json<Status>(target, 'status')).floor?.sequence, 4);
});

test('a floor that the newer nixmaker has raised counts, also where only one copy can be read', async () => {
  const { target } = await targets.running();
  const path = join(target.stateDirectory, 'floor.b');
  const value = readChecksummed((await readFile(path, 'utf8')).trimEnd()) as Record<string, unknown>;
  await writeFile(path, withChecksum({ ...value, sequence: 3, schema: 2, more: true }));
  await writeFile(join(target.stateDirectory, 'floor.a'), 'a form that nobody knows');
  assert.equal((await take(target, 'switch', two)).code, 'sequence-older');
  const taken = await take(target, 'switch', four);
  assert.equal(taken.state, 'committed', taken.detail);
});
