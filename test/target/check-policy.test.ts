/** What `check-policy` says of a policy file, and of a bundle under it. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { checks } from '../../src/core/policy/decide.ts';
import { makeTarget } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const shop = await makeWorkshop();
const target = await makeTarget(join(shop.folder, 'target'), {
  host: 'web',
  trustedKeys: [shop.keys.publicKey],
});
after(() => target.close());

const basic = { schema: 1, host: 'web', operation: 'switch', trustedKeys: [shop.keys.publicKey] };
let count = 0;

async function check(policy: string | Record<string, unknown>, ...more: string[]) {
  count += 1;
  const path = join(shop.folder, `policy-${count}.json`);
  await writeFile(path, typeof policy === 'string' ? policy : JSON.stringify(policy, null, 2));
  return target.nixmaker(['check-policy', '--settings', target.settingsFile, path, ...more]);
}

test('a policy is told in words, all of it', async () => {
  const said = await check({
    ...basic,
    trustedKeys: [
      { key: shop.keys.publicKey, roles: ['build'], notAfter: '2030-01-01T00:00:00Z' },
      'other-1:5kUMV8uKzKYJfhhjQwjqjHu0mWSMA0bjnxzmDTD4Bfc=',
    ],
    threshold: 2,
    roles: { build: 1 },
    window: { days: ['sat'], from: '22:00', to: '02:00', timeZone: 'Europe/Berlin' },
    limits: { sequenceJump: 1000, createdAhead: 172_800, closureBytes: 5_000_000_000 },
    health: { units: ['sshd.service'], tcp: [{ port: 22 }] },
    reboot: { when: 'when-needed' },
    boot: { confirm: 'manual' },
    media: { mount: true, labels: ['UPDATE'], folders: ['/srv/pool'] },
  });
  assert.equal(said.code, 0, said.stderr);
  for (const sentence of [
    'Bundles for host “web” are taken.',
    'They must be signed by at least 2 of these keys: “fleet-1” (build, until 2030-01-01T00:00:00Z); “other-1”.',
    'Of those, 1 must have the role “build”.',
    'The agent only installs on sat from 22:00 to 02:00 on the next day (Europe/Berlin).',
    'A sequence may be at most 1000 above the last one taken.',
    'A signed time may be at most 2 days ahead of the clock.',
    'All store paths together may be at most 4.66 GiB.',
    'the units sshd.service must be active, 127.0.0.1:22 must accept a connection',
    'someone must run `nixmaker confirm` within 900 seconds',
    'Media with the label UPDATE',
    'The folder /srv/pool is treated like a medium.',
  ])
    assert.ok(said.stdout.includes(sentence), `${sentence}\n\n${said.stdout}`);
});

test('a wrong policy ends with 78 and names line, key and the key that was meant', async () => {
  const said = await check(
    '{\n  "schema": 1,\n  "host": "web",\n  "operation": "switch",\n  "trustedKey": []\n}',
  );
  assert.equal(said.code, 78);
  assert.match(said.stderr, /line 5, trustedKey: .*did you mean “trustedKeys”/);
  const unusable = await check({ ...basic, trustedKeys: ['fleet-1:AAAA'] });
  assert.equal(unusable.code, 78);
  assert.match(unusable.stderr, /key-malformed|fleet-1/);
});

test('of a bundle it says check by check what would happen, everything that is in the way, and changes nothing', async () => {
  const bundle = await shop.bundle('one', { hosts: { web: plainHost('web') } });
  const before = await target.validPaths();
  const good = await check(basic, bundle);
  assert.equal(good.code, 0, good.stdout + good.stderr);
  assert.match(good.stdout, /^It would be taken\.$/m);
  // Beside the decision’s: its form, and its bytes.
  assert.equal(good.stdout.match(/ yes$/gm)?.length, checks.length + 2);

  const bad = await check({ ...basic, host: 'mail', limits: { paths: 1 } }, bundle);
  assert.equal(bad.code, 77);
  assert.match(bad.stdout, /wrong-host: the bundle is for web/);
  assert.match(bad.stdout, /over-limit: paths is /);
  assert.match(bad.stdout, /It would not be taken: wrong-host\./);

  const stranger = 'other-1:5kUMV8uKzKYJfhhjQwjqjHu0mWSMA0bjnxzmDTD4Bfc=';
  const unknown = await check({ ...basic, trustedKeys: [stranger] }, bundle, '--json');
  assert.equal(unknown.code, 65);
  const { ok, checks: found } = JSON.parse(unknown.stdout) as {
    ok: boolean;
    checks: { code?: string; result: string }[];
  };
  assert.equal(ok, false);
  assert.equal(found[0]?.code, 'signature-unknown-key');
  assert.ok(found.slice(1).every((c) => c.result === 'skipped'));
  assert.deepEqual(await target.validPaths(), before);
});
