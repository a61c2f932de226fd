/** Keys that the policy has no more, and Nix still has. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { StorePath } from '../../src/core/store-path.ts';
import { makeTarget } from '../machines/sandboxed-target.ts';
import { makeKeys, makeWorkshop, plainHost } from '../support/fleet.ts';
import { released } from '../support/released.ts';
import { bring, hold, strangersSystem } from '../support/strangers.ts';

const shop = await makeWorkshop();

test('a key that was taken out of the policy counts for nothing while nix.conf still has it, and doctor says so', async () => {
  const former = await makeKeys(shop.folder, 'former-1');
  const root = join(shop.folder, 'target');
  const target = await makeTarget(root, {
    host: 'web',
    trustedKeys: [shop.keys.publicKey],
    nixKeys: [former.publicKey],
    nixConf: `!include ${join(root, 'state/store-key.conf')}\n`,
  });
  after(() => target.close());
  assert.equal((await target.verb('store-key')).code, 0);
  const asked = await target.verb('doctor', ['--json']);
  const { checks } = JSON.parse(asked.stdout) as {
    checks: { check: string; verdict: string; what: string; next?: string }[];
  };
  const keys = checks.find(({ check }) => check === 'nix-keys');
  const [fleet = ''] = shop.keys.publicKey.split(':');
  assert.equal(keys?.verdict, 'look');
  assert.ok(keys.what.includes(`Nix does not know ${fleet}`), keys.what);
  assert.ok(keys.what.includes('Nix also trusts former-1; the policy does not'), keys.what);
  assert.doesNotMatch(keys.what, /nixmaker-store/);

  const path = await shop.bundle('former', {
    hosts: { web: plainHost('web', 'former') },
    args: ['--sequence', '1'],
  });
  const { toplevel } = await released(path);
  const contents = await strangersSystem(target);
  const { secretFile } = former;
  await bring(target, { path: toplevel as StorePath, contents, references: [], secretFile });
  await hold(target, toplevel);
  const ran = await target.verb('switch', ['--tarball', path, '--json']);
  const receipt = JSON.parse(ran.stdout) as { state: string; code?: string; detail?: string };
  assert.deepEqual([receipt.state, receipt.code], ['failed', 'store-differs'], receipt.detail);
  await assert.rejects(readFile(join(target.root, 'strange')), /ENOENT/);
});
