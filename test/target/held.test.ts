/** A release that a person went back from, or has named as bad, stays away until a person frees it or something newer comes. */
import assert from 'node:assert/strict';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { Targets, take } from '../support/targets.ts';

const shop = await makeWorkshop();
const targets = new Targets(shop);
const [two, three, four] = await Promise.all(
  [2, 3, 4].map((sequence) => targets.release(`held-${sequence}`, '--sequence', `${sequence - 1}`)),
);

/** What the agent makes of a file that is in the inbox (again). */
async function onceWith(target: Target, bundle: string): Promise<string> {
  await copyFile(bundle, join(target.inbox, 'web.tar'));
  const reports = ['done', 'refused'].map((folder) => join(target.inbox, folder, 'web.tar.txt'));
  for (const report of reports) await rm(report, { force: true });
  await target.verb('agent', ['--once']);
  const found = await Promise.allSettled(reports.map((path) => readFile(path, 'utf8')));
  return found.map((f) => (f.status === 'fulfilled' ? f.value : '')).join('');
}

interface HeldStatus {
  readonly floor: { readonly sequence: number };
  readonly held: readonly { readonly sequence: number; readonly because: string }[];
}

const statusOf = async (target: Target) =>
  JSON.parse((await target.verb('status', ['--json'])).stdout) as HeldStatus;

test('an operator’s rollback holds: what was left is not taken again until something newer comes', async () => {
  const target = await targets.fresh();
  const old = await take(target, 'switch', two as string);
  await take(target, 'switch', three as string);
  const back = await target.verb('rollback');
  assert.equal(back.code, 0, back.stderr);
  assert.match(
    back.stdout,
    /^What: +Rolled back to generation 1 \(release 2\), which is installed and running\./m,
  );
  assert.match(
    back.stdout,
    /Release 3 is now held: it is not taken again until something newer comes or `nixmaker release 3` frees it\./,
  );
  assert.doesNotMatch(back.stdout, /new system/);

  const report = await onceWith(target, three as string);
  assert.match(report, /^REFUSED\n.*^Code: +release-held$/ms);
  assert.match(report, /^Next: .*nixmaker release/m);
  assert.equal(await target.currentSystem(), old.toplevel, 'the word of a person counts');
  const again = await take(target, 'switch', three as string);
  assert.deepEqual([again.state, again.code, again.exit], ['refused', 'release-held', 77]);
  assert.match(again.detail ?? '', /^release 3 has been held since \S+Z \(rolled back from it\)$/);

  const status = await target.verb('status');
  assert.match(status.stdout, /^Sequence: +3$/m);
  assert.match(
    status.stdout,
    /^Held: +release 3 \(rolled back from it\), since 20\d\d-\S+ \S+ UTC;\s+`nixmaker release 3` frees it$/m,
  );
  assert.match(
    (await target.verb('history')).stdout,
    /done +- +generation 1, rolled back from release 3 *$/m,
  );

  assert.equal((await take(target, 'switch', four as string)).state, 'committed');
  assert.deepEqual((await statusOf(target)).held, [], 'something newer has come');
});

test('a release that was freed is taken again, and going forward to it frees it as well', async () => {
  const target = await targets.fresh();
  await take(target, 'switch', two as string);
  const newer = await take(target, 'switch', three as string);
  await target.verb('rollback');
  const freed = await target.verb('release', ['3']);
  assert.deepEqual(
    [freed.code, freed.stdout.trim()],
    [0, 'Release 3 is no longer held. To take it, drop its bundle again or plug its medium in again.'],
  );
  assert.match(await onceWith(target, three as string), /^DONE/);
  assert.equal(await target.currentSystem(), newer.toplevel);
  assert.match((await target.verb('release', ['3'])).stderr, /release 3 is not held; none is/);

  await target.verb('rollback');
  assert.deepEqual(
    (await statusOf(target)).held.map((h) => h.sequence),
    [3],
  );
  const forward = await target.verb('rollback', ['--to', '2']);
  assert.match(forward.stdout, /Rolled back to generation 2 \(release 3\)/);
  assert.deepEqual((await statusOf(target)).held, [], 'a person wants it after all');
});

test('a release can be named as bad by hand, before it comes', async () => {
  const target = await targets.fresh();
  await take(target, 'switch', two as string);
  const held = await target.verb('hold', ['3', '--because', 'the display stays dark']);
  assert.equal(held.code, 0, held.stderr);
  assert.match(held.stdout, /^Release 3 is held: /);
  assert.match(
    await onceWith(target, three as string),
    /^Detail: +release 3 has been held since \S+ \(the display stays dark\)$/m,
  );
  assert.equal((await statusOf(target)).floor.sequence, 2);
  assert.match(await onceWith(target, four as string), /^DONE/m);
  assert.match(
    (await target.verb('hold', ['1'])).stderr,
    /release 1 is older than 4, the newest taken, so it is refused anyway/,
  );
});

test('where both copies of the list are damaged nothing is taken until it is written anew', async () => {
  const target = await targets.fresh();
  await take(target, 'switch', two as string);
  await take(target, 'switch', three as string);
  await target.verb('rollback');
  await writeFile(join(target.stateDirectory, 'held.a'), 'no list');
  assert.equal((await take(target, 'switch', three as string)).code, 'release-held', 'one is enough');
  await writeFile(join(target.stateDirectory, 'held.b'), 'no list');
  const waits = await take(target, 'switch', four as string);
  assert.deepEqual([waits.state, waits.code, waits.exit], ['deferred', 'held-lost', 75]);
  assert.equal(waits.detail, 'both copies of the list of held releases are damaged');
  assert.match(
    (await target.verb('status')).stdout,
    /^Held: +unknown: both copies .* `nixmaker release --all`/ms,
  );
  assert.match((await target.verb('doctor')).stdout, /^BAD +held/m);
  assert.equal((await target.verb('release', ['--all'])).code, 0);
  assert.equal((await take(target, 'switch', four as string)).state, 'committed');
});
