/** Requests for room straight to root, which verifies and decides again, and counts for itself. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ReleaseIndex } from '../../../src/core/release/index-file.ts';
import { namesIn } from '../../../src/files/read.ts';
import { raiseFloor } from '../../../src/state/floor.ts';
import { serveRooms } from '../../../src/target/root/make-room.ts';
import { serveAgent } from '../../../src/target/root/serve.ts';
import { askedRoot, askForRoom, requestId } from '../../support/asked-root.ts';
import { makeTestRelease } from '../../support/bundles.ts';

const good = makeTestRelease();
const forMail = makeTestRelease({ manifest: { host: 'mail' } });
const needed = { collect: 'when-needed' };
const nothing = { generations: [], paths: 0, bytes: 0, bootBytes: 0 };

for (const [what, release, policy, refusal] of [
  [
    'where the policy never lets anything go',
    good,
    {},
    /^operation-forbidden: the policy has `collect: never`$/,
  ],
  ['for another host’s release', forMail, needed, /^wrong-host: /],
  ['for one over a limit', good, { ...needed, limits: { paths: 1 } }, /^over-limit: /],
  [
    'while the window is shut',
    good,
    { ...needed, window: { from: '02:00', to: '03:00' }, stage: { allow: false } },
    /^outside-window: /,
  ],
  [
    'for one that nobody has signed',
    { ...good, signatureBytes: Buffer.from('x:AAAA\n') },
    needed,
    /^signature-/,
  ],
  [
    'with an index that is not the one that was signed',
    {
      ...good,
      release: { ...good.release, index: { bytes: Buffer.from('[]\n') } as unknown as ReleaseIndex },
    },
    needed,
    /^bundle-|^index-|^manifest-/,
  ],
] as const)
  test(`asked for room ${what}, root frees nothing and says why`, async (t) => {
    const { makeRoom, started, events } = await askedRoot(t, good, { policy });
    const answer = await makeRoom(release, 1);
    assert.ok(answer !== undefined && 'refusal' in answer, JSON.stringify(answer));
    assert.match(answer.refusal, refusal);
    assert.ok(!started.some(({ argv }) => argv.includes('--gc') || argv.includes('--delete-generations')));
    assert.deepEqual(
      events.filter((e) => e.event === 'request-rejected').map((e) => e.detail),
      [answer.refusal],
    );
  });

test('what is taken already needs no room', async (t) => {
  const { toplevel } = good.release.manifest;
  const { makeRoom, machine } = await askedRoot(t, good, {
    policy: needed,
    generations: [toplevel],
    running: toplevel,
  });
  const { sequence } = good.release.manifest;
  await raiseFloor(machine.floorDirectory, {
    ...{ schema: 1, sequence, manifestDigest: good.digest, createdAt: '2026-11-01T00:00:00Z' },
  });
  assert.deepEqual(await makeRoom(good, 1), { refusal: 'it is already installed' });
});

test('where there is room enough nothing is freed, and the request is gone once it is answered', async (t) => {
  const { machine, makeRoom, started } = await askedRoot(t, good, {
    policy: { ...needed, limits: { freeBytes: 0 } },
  });
  assert.deepEqual(await makeRoom(good, 1), { freed: nothing });
  assert.ok(!started.some(({ argv }) => argv.includes('--gc')));
  assert.deepEqual(await readdir(join(machine.requestsDirectory, 'rooms')), []);
});

test('where the disk is short of what stays free, garbage goes first, bounded by what is lacking', async (t) => {
  const reserve = 2 ** 50;
  const policy = { ...needed, limits: { freeBytes: reserve } };
  const { makeRoom, started } = await askedRoot(t, good, {
    policy,
    answer: (argv) =>
      argv.includes('--gc') ? { stdout: '0 store paths deleted, 0.00 MiB freed\n' } : undefined,
  });
  assert.deepEqual(await makeRoom(good, 1), { freed: nothing });
  const collections = started.flatMap(({ argv, options }) =>
    argv.includes('--gc') ? [{ argv, options }] : [],
  );
  assert.equal(collections.length, 1);
  const [, most = ''] = /--max-freed (\d+)/.exec(collections[0]?.argv.join(' ') ?? '') ?? [];
  assert.ok(Number(most) > 0 && Number(most) <= reserve + 1024 ** 2);
  assert.equal(collections[0]?.options.timeout, 600_000);
});

test('root’s unit serves them as well', async (t) => {
  const { machine } = await askedRoot(t, good, { policy: { ...needed, limits: { freeBytes: 0 } } });
  await askForRoom(machine, good, 7);
  await serveAgent(machine);
  const answers = await readdir(join(machine.settings.activationDirectory, 'rooms'));
  assert.deepEqual(answers, [`${requestId(7)}.json`]);
});

test('a fault of root’s own is no answer to the agent: it is thrown', async (t) => {
  const { machine } = await askedRoot(t, good, { policy: needed });
  const now = () => {
    throw new RangeError('no time');
  };
  await askForRoom(machine, good, 1);
  await assert.rejects(serveRooms({ ...machine, clock: { ...machine.clock, now } }), /no time/);
  assert.deepEqual(await namesIn(join(machine.settings.activationDirectory, 'rooms')), []);
});
