/** Two keys must sign, and a local user has stolen one of them: the one whose word Nix takes. */
import assert from 'node:assert/strict';
import { chmod, copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StorePath } from '../../../src/core/store-path.ts';
import { makeKeys } from '../../support/fleet.ts';
import { foreignCache } from '../../support/foreign-path.ts';
import { released } from '../../support/released.ts';
import { putRequest, receiptOf, signedParts } from './ask-root.ts';
import { bed, drop, release, report, shop, writePolicy } from './scene.ts';

const second = await makeKeys(shop.folder, 'stolen-second');
const bundle = join(shop.folder, 'stolen.tar');

/** A stranger’s system, under the name of the genuine one, brought and held by a user who is nobody special. */
async function bringAsLocalUser(toplevel: StorePath): Promise<void> {
  const strange = join(shop.folder, 'strange');
  await mkdir(join(strange, 'bin'), { recursive: true });
  await writeFile(join(strange, 'nixos-version'), 'strange');
  const program = join(strange, 'bin/switch-to-configuration');
  await writeFile(program, '#!/bin/sh\ntouch /run/strange\n');
  await chmod(program, 0o755);
  const folder = join(shop.folder, 'strange-cache');
  const { secretFile } = shop.keys;
  await foreignCache(folder, [{ path: toplevel, contents: strange, references: [], secretFile }]);
  for (const name of await readdir(folder, { recursive: true }))
    if (/\.(narinfo|nar)$|nix-cache-info/.test(name))
      await bed.write(`/tmp/strange/${name}`, await readFile(join(folder, name)));
  await bed.sh('mkdir -p /tmp/nobody; chown -R nobody /tmp/strange /tmp/nobody');
  const asNobody = 'setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/tmp/nobody';
  await bed.sh(
    `${asNobody} nix copy --no-recursive --from file:///tmp/strange --to daemon "$1"
     ${asNobody} nix-store --realise "$1" --add-root /tmp/nobody/held`,
    toplevel,
  );
}

const systems = () => bed.sh('readlink /run/current-system; readlink /nix/var/nix/profiles/system');

test('a stranger’s system under the genuine name, signed by the stolen key, does not run when the genuine bundle comes', async () => {
  const policy = await bed.sh('cat /etc/nixmaker/policy.json');
  await writePolicy({
    trustedKeys: [shop.keys.publicKey, second.publicKey],
    threshold: 2,
    // Newer than what came along before.
    keyringVersion: 99,
  });
  await bed.sh('systemctl restart nixmaker.service');
  await copyFile(await release('stolen', 5000), bundle);
  const signed = await shop.builder.nixmaker(['sign', '--key', second.secretFile, bundle]);
  assert.equal(signed.code, 0, signed.stderr);
  const { manifest } = await released(bundle);
  const before = await systems();
  await bringAsLocalUser(manifest.toplevel as StorePath);

  await drop(bundle, 'stolen.tar');
  assert.match(await report('refused', 'stolen.tar'), /Code:\s+store-differs/);
  assert.equal(await systems(), before);

  // An agent that was taken over leaves its own look out: root has one of its own.
  const request = { schema: 2, transaction: 'cccccccccccc', operation: 'switch', source: 'stolen' };
  await putRequest('requests', request, await signedParts(bundle));
  const receipt = await receiptOf(request.transaction);
  assert.deepEqual([receipt.state, receipt.code], ['failed', 'store-differs']);
  assert.equal(await systems(), before);

  // Let go, it is garbage: the bundle brings the genuine one.
  await bed.sh('rm /tmp/nobody/held');
  await drop(bundle, 'again.tar');
  assert.match(await report('done', 'again.tar'), /^DONE\n.*did not match what was signed/s);
  assert.equal((await bed.sh('readlink /run/current-system')).trim(), manifest.toplevel);
  await bed.sh('test ! -e /run/strange');
  await bed.write('/etc/nixmaker/policy.json', policy);
  await bed.sh('systemctl restart nixmaker.service');
});

test('what root has compared can’t be taken away before it is installed, whatever becomes of the agent and its roots', async () => {
  const policy = await bed.sh('cat /etc/nixmaker/policy.json');
  // In the place of an agent that was taken over: it ends, its roots go, and the path is asked to be deleted.
  await bed.write(
    '/etc/nixmaker/approve',
    `#!/bin/sh
systemctl kill --signal=KILL nixmaker.service
rm -f /var/lib/nixmaker/state/roots/*
nix-store --delete "$NIXMAKER_TOPLEVEL" >/run/deleting 2>&1 && touch /run/deleted
touch /run/asked
`,
    '0755',
  );
  await bed.write(
    '/etc/nixmaker/policy.json',
    JSON.stringify({
      schema: 1,
      host: 'web',
      operation: 'switch',
      trustedKeys: [shop.keys.publicKey],
      keyringVersion: 100,
      approval: { command: ['/etc/nixmaker/approve'] },
    }),
  );
  await bed.sh('systemctl restart nixmaker.service');
  await drop(await release('held', 5100), 'held.tar');
  await bed.until('test -e /run/asked');
  await bed.sh('test ! -e /run/deleted; grep -q alive /run/deleting');
  await bed.until(
    'readlink /run/current-system | grep -q nixos-system-web; grep -qs held /run/current-system/etc/motd',
  );
  await bed.write('/etc/nixmaker/policy.json', policy);
  await bed.sh('systemctl restart nixmaker.service');
});
