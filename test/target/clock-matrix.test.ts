/**
 * A machine’s clock right, ahead, back and never set × what asks for the time: window, expiry, a key’s time, the signed time. And the
 * way back of each. The floor is the real one, on disk; the decision is the real one; the clock is ours.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { decide } from '../../src/core/policy/decide.ts';
import { type Policy, policyParser } from '../../src/core/policy/policy.ts';
import { type ManifestInput, parseManifest } from '../../src/core/release/manifest.ts';
import { holdProgram } from '../../src/process/run.ts';
import { raiseFloor, readFloor, readFloorRecord, recordFloor } from '../../src/state/floor.ts';
import { appendJournal } from '../../src/state/journal.ts';
import { readKnownFloor, timeFloor } from '../../src/target/machine/floor.ts';
import type { RootMachine } from '../../src/target/machine/machine.ts';
import { adoptTime } from '../../src/target/root/adopt-floor.ts';
import { temporaryFolder } from '../support/bundles.ts';
import { facts, manifestText, policy } from '../support/manifests.ts';

const today = '2026-11-24T02:30:00Z';
const clocks = {
  right: today,
  ahead: '2099-11-24T02:30:00Z',
  // Before what was committed last, by a day.
  back: '2026-11-19T02:30:00Z',
  unset: '1970-01-01T02:30:05Z',
} as const;

interface Asked {
  readonly manifest?: Partial<ManifestInput>;
  readonly policy?: Partial<Policy>;
}

const window = { window: { from: '02:00', to: '03:00' } };
const keyUntil = (notAfter: string) => ({ trustedKeys: [{ key: 'k:x', roles: [], notAfter }] });
const keyFrom = (notBefore: string) => ({ trustedKeys: [{ key: 'k:x', roles: [], notBefore }] });
const asked = {
  'a window, at an hour in which it is open': { policy: policyParser.parse({ ...policy, ...window }) },
  'an expiry to come': { manifest: { expiresAt: '2026-12-01T00:00:00Z' } },
  'an expiry that is over': {
    manifest: { createdAt: '2026-11-10T00:00:00Z', expiresAt: '2026-11-15T00:00:00Z' },
  },
  'a key whose time goes on': { policy: keyUntil('2026-12-01T00:00:00Z') },
  'a key whose time is over': { policy: keyUntil('2026-11-15T00:00:00Z') },
  'a key whose time has begun': { policy: keyFrom('2026-11-15T00:00:00Z') },
  'a signed time of today': { manifest: { createdAt: today } },
  'a signed time of 2099': { manifest: { createdAt: '2099-01-01T00:00:00Z' } },
} satisfies Record<string, Asked>;

/** With a floor of 2026-11-20, in the order of the clocks above. */
const expected: Record<keyof typeof asked, readonly [string, string, string, string]> = {
  'a window, at an hour in which it is open': ['accept', 'accept', 'outside-window', 'outside-window'],
  'an expiry to come': ['accept', 'expired', 'accept', 'accept'],
  'an expiry that is over': ['expired', 'expired', 'expired', 'expired'],
  'a key whose time goes on': ['accept', 'key-not-valid', 'accept', 'accept'],
  'a key whose time is over': ['key-not-valid', 'key-not-valid', 'key-not-valid', 'key-not-valid'],
  'a key whose time has begun': ['accept', 'accept', 'accept', 'accept'],
  'a signed time of today': ['accept', 'accept', 'accept', 'accept'],
  'a signed time of 2099': ['created-ahead', 'accept', 'accept', 'accept'],
};

const clockAt = (time: string) => ({ clock: { now: () => new Date(time) } }) as unknown as RootMachine;
const floorOf = (sequence: number, createdAt: string) =>
  ({ schema: 1, sequence, manifestDigest: 'e'.repeat(64), createdAt }) as const;

async function judge(folder: string, clock: string, { manifest = {}, policy: changes = {} }: Asked) {
  const { floor } = await readFloor(folder);
  const known = facts({ floor, ...timeFloor(clockAt(clock), floor) });
  const verdict = decide(parseManifest(manifestText(manifest)), known, { ...policy, ...changes });
  return 'code' in verdict ? verdict.code : verdict.verdict;
}

for (const [what, given] of Object.entries(asked) as [keyof typeof asked, Asked][])
  test(`${what}: by a right clock, one ahead, one back, one never set; and by the right one again`, async (t) => {
    const folder = await temporaryFolder(t);
    await raiseFloor(folder, floorOf(6, '2026-11-20T00:00:00Z'));
    const found = [];
    for (const clock of Object.values(clocks)) found.push(await judge(folder, clock, given));
    assert.deepEqual(found, expected[what]);
    // A wrong clock leaves nothing behind: the way back is to set it.
    assert.equal(await judge(folder, clocks.right, given), expected[what][0]);
  });

test('a machine that has taken nothing does not believe a clock of 1970 either', async (t) => {
  const folder = await temporaryFolder(t);
  assert.equal(
    await judge(folder, clocks.unset, asked['a window, at an hour in which it is open']),
    'outside-window',
  );
  assert.equal(
    await judge(folder, clocks.right, asked['a window, at an hour in which it is open']),
    'accept',
  );
});

test('a signed time of 2099 that was taken shuts windows and ends keys, until an operator brings it back', async (t) => {
  const folder = await temporaryFolder(t);
  await raiseFloor(folder, floorOf(6, '2099-01-01T00:00:00Z'));
  const windowed = asked['a window, at an hour in which it is open'];
  assert.equal(await judge(folder, today, windowed), 'outside-window');
  assert.equal(await judge(folder, today, asked['an expiry to come']), 'expired');
  assert.equal(await judge(folder, today, asked['a key whose time goes on']), 'key-not-valid');
  const machine = {
    ...clockAt(today),
    hold: holdProgram,
    settings: { stateDirectory: folder, profile: join(folder, 'system') },
    floorDirectory: folder,
    emit: () => undefined,
  } as unknown as RootMachine;
  await recordFloor(machine.settings.profile, floorOf(6, '2099-01-01T00:00:00Z'));
  await assert.rejects(adoptTime(machine, '2099-01-01T00:00:00Z'), /usage.*only be moved back/);
  await adoptTime(machine, '2026-11-20T00:00:00Z');
  assert.deepEqual(
    (await readFloor(folder)).floor,
    floorOf(6, '2026-11-20T00:00:00Z'),
    'what was taken stays',
  );
  assert.deepEqual(
    (await readFloorRecord(machine.settings.profile)).floor,
    floorOf(6, '2026-11-20T00:00:00Z'),
    'in the record beside the generations as well',
  );
  assert.equal(await judge(folder, today, windowed), 'accept');
  assert.equal(await judge(folder, today, asked['an expiry to come']), 'accept');
  assert.equal(await judge(folder, today, asked['a key whose time goes on']), 'accept');
  assert.equal(await judge(folder, today, asked['a signed time of 2099']), 'created-ahead', 'and not again');
});

test('the newest signed time never falls: not with an older release under a newer sequence, nor by a lost copy', async (t) => {
  const folder = await temporaryFolder(t);
  await raiseFloor(folder, floorOf(6, '2026-11-20T00:00:00Z'));
  await raiseFloor(folder, floorOf(7, '2026-05-01T00:00:00Z'));
  assert.deepEqual((await readFloor(folder)).floor, floorOf(7, '2026-11-20T00:00:00Z'));
  await raiseFloor(folder, floorOf(3, '2026-12-01T00:00:00Z'));
  assert.equal((await readFloor(folder)).floor?.sequence, 7);
});

test('where the floor is lost, the journal has its newest signed time, also that of an older sequence', async (t) => {
  const folder = await temporaryFolder(t);
  for (const [sequence, createdAt] of [
    [6, '2026-11-20T00:00:00Z'],
    [7, '2026-05-01T00:00:00Z'],
  ] as const)
    await appendJournal(folder, {
      schema: 1,
      at: today,
      transaction: `run-${sequence}`,
      state: 'committed',
      source: 'web.tar',
      operation: 'switch',
      sequence,
      manifestDigest: 'e'.repeat(64),
      createdAt,
      generation: sequence,
    });
  const { committed, doubt } = await readKnownFloor({
    floorDirectory: folder,
    settings: { profile: join(folder, 'system') },
  });
  assert.match(doubt ?? '', /missing/);
  assert.deepEqual(committed, floorOf(7, '2026-11-20T00:00:00Z'));
});
