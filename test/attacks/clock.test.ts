/** Clocks that are wrong, on a real target whose nixmaker is shown another time (CASES, “Policy and clock”). */
import assert from 'node:assert/strict';
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { encodeManifest, type ManifestInput } from '../../src/core/release/manifest.ts';
import { signManifest } from '../../src/signing/signature-file.ts';
import { checkout } from '../machines/program.ts';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { assemble, ofManifest, readKey, takeApart } from '../support/forge.ts';

const shop = await makeWorkshop();
const key = await readKey(shop.keys.secretFile);
const targets: Target[] = [];
after(() => Promise.all(targets.map((target) => target.close())));

async function freshTarget(policy: Record<string, unknown> = {}): Promise<Target> {
  const options = { host: 'web', trustedKeys: [shop.keys.publicKey], policy };
  const target = await makeTarget(join(shop.folder, `target-${targets.length}`), options);
  targets.push(target);
  return target;
}

/** A bundle with these times, as a builder with a good clock would sign them. */
async function release(name: string, times: Partial<ManifestInput>): Promise<string> {
  const args = ['--sequence', String(10 * (1 + names.indexOf(name)))];
  const apart = await takeApart(await shop.bundle(name, { hosts: { web: plainHost('web', name) }, args }));
  const manifestBytes = Buffer.from(encodeManifest({ ...apart.manifest, ...times }));
  const path = join(shop.folder, `${name}.tar`);
  const signatureBytes = Buffer.from(signManifest(manifestBytes, key));
  await writeFile(
    path,
    assemble({ manifestBytes, signatureBytes, members: ofManifest(apart, manifestBytes) }),
  );
  return path;
}
const names = ['first', 'second', 'third'];

const at = (clock: string) => ({
  env: {
    NIXMAKER_TEST_CLOCK: clock,
    NODE_OPTIONS: `--import=${join(checkout, 'test/machines/clock-preload.ts')}`,
  },
});

async function take(target: Target, path: string, clock: string) {
  const ran = await target.verb('switch', ['--tarball', path, '--json'], at(clock));
  const { state, code, at: when } = JSON.parse(ran.stdout) as { state: string; code?: string; at: string };
  return { outcome: code ?? state, when };
}

test('with the clock back at 1970 nothing that has expired is taken: the newest signed time counts', async () => {
  const target = await freshTarget();
  const first = await take(
    target,
    await release('first', { createdAt: '2026-05-01T00:00:00Z' }),
    '2026-05-02T00:00:00Z',
  );
  assert.equal(first.outcome, 'committed');
  assert.match(first.when, /^2026-05-02/, 'it is shown the clock of the test');
  const expired = await release('second', {
    createdAt: '2026-03-01T00:00:00Z',
    expiresAt: '2026-04-01T00:00:00Z',
  });
  assert.equal((await take(target, expired, '1970-01-01T00:00:05Z')).outcome, 'expired');
  const good = await release('third', {
    createdAt: '2026-04-15T00:00:00Z',
    expiresAt: '2026-06-01T00:00:00Z',
  });
  assert.equal((await take(target, good, '1970-01-01T00:00:05Z')).outcome, 'committed');
});

test('with the clock at 2099 what has an end is refused, and nothing is remembered of that time', async () => {
  const target = await freshTarget();
  const path = await release('first', {
    createdAt: '2026-05-01T00:00:00Z',
    expiresAt: '2027-01-01T00:00:00Z',
  });
  assert.equal((await take(target, path, '2099-01-01T00:00:00Z')).outcome, 'expired');
  const endless = await release('second', { createdAt: '2026-05-01T00:00:00Z' });
  assert.equal((await take(target, endless, '2099-01-01T00:00:00Z')).outcome, 'committed');
  const next = await release('third', {
    createdAt: '2026-05-01T00:00:00Z',
    expiresAt: '2027-01-01T00:00:00Z',
  });
  assert.equal((await take(target, next, '2026-05-02T00:00:00Z')).outcome, 'committed');
});

test('a clock that jumps with every look hurts no run, and no agent', async () => {
  const target = await freshTarget();
  const path = await release('first', { createdAt: '2026-05-01T00:00:00Z' });
  await copyFile(path, join(target.inbox, 'web.tar'));
  const ran = await target.verb('agent', ['--once'], at('jumping'));
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  assert.deepEqual(await readdir(join(target.inbox, 'done')), ['web.tar', 'web.tar.txt']);
});

test('a window is closed to the agent while the clock is unset, and a person can still install', async () => {
  const target = await freshTarget({
    window: {
      days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'],
      from: '00:00',
      to: '23:59',
      timeZone: 'UTC',
    },
  });
  const early = await release('first', { createdAt: '2026-05-01T00:00:00Z' });
  assert.equal((await take(target, early, '2026-05-02T12:00:00Z')).outcome, 'committed');
  await copyFile(
    await release('second', { createdAt: '2026-05-03T00:00:00Z' }),
    join(target.inbox, 'web.tar'),
  );
  const unset = await target.verb('agent', ['--once'], at('1970-01-01T12:00:00Z'));
  assert.equal(unset.code, 0, unset.stdout + unset.stderr);
  assert.match(unset.stdout + unset.stderr, /"event":"staged"|STAGED/);
  assert.match(unset.stdout + unset.stderr, /outside-window/);
  const motd = async () => (await target.run(['cat', '/run/current-system/etc/motd'])).stdout;
  const before = await motd();
  const set = await target.verb('agent', ['--once'], at('2026-05-04T12:00:00Z'));
  assert.equal(set.code, 0, set.stdout + set.stderr);
  assert.notEqual(await motd(), before, 'installed from what was staged');
});

test('a signed time of 2099 is refused; where a policy has let it in, an operator brings the time back', async () => {
  const target = await freshTarget();
  const late = await release('first', { createdAt: '2099-01-01T00:00:00Z' });
  assert.equal((await take(target, late, '2026-05-02T00:00:00Z')).outcome, 'created-ahead');
  const policy = JSON.parse(await readFile(target.policyFile, 'utf8')) as object;
  await writeFile(target.policyFile, JSON.stringify({ ...policy, limits: { createdAhead: 10_000_000_000 } }));
  assert.equal((await take(target, late, '2026-05-02T00:00:00Z')).outcome, 'committed');
  const next = await release('second', {
    createdAt: '2026-05-02T00:00:00Z',
    expiresAt: '2027-01-01T00:00:00Z',
  });
  assert.equal((await take(target, next, '2026-05-03T00:00:00Z')).outcome, 'expired');
  const adopt = (time: string) =>
    target.nixmaker(['floor', 'adopt', '--settings', target.settingsFile, '--time', time]);
  assert.equal((await adopt('yesterday')).code, 64);
  assert.equal((await adopt('2100-01-01T00:00:00Z')).code, 64, 'it can only be moved back');
  const adopted = await adopt('2026-05-01T00:00:00Z');
  assert.equal(adopted.code, 0, adopted.stderr);
  assert.equal((await take(target, next, '2026-05-03T00:00:00Z')).outcome, 'committed');
});
