/** Policies that must not be obeyed: the agent ends with 78 and says why, and a good bundle is left where it is. */
import assert from 'node:assert/strict';
import { chmod, chown, copyFile, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeTarget } from '../machines/sandboxed-target.ts';
import { makeWorkshop } from '../support/fleet.ts';

const shop = await makeWorkshop();
const target = await makeTarget(join(shop.folder, 'target'), {
  host: 'web',
  trustedKeys: [shop.keys.publicKey],
});
after(() => target.close());
const bundle = await shop.bundle('good');
await copyFile(bundle, join(target.inbox, 'good.tar'));
const text = await readFile(target.policyFile, 'utf8');
const changed = (change: Record<string, unknown>) =>
  JSON.stringify({ ...JSON.parse(text), ...change }, null, 2);
const write = (content: string | Buffer) => writeFile(target.policyFile, content);
const [name = '', base64 = ''] = shop.keys.publicKey.split(':');

const cases: readonly (readonly [what: string, says: RegExp, spoil: () => Promise<unknown>])[] = [
  ['none at all', /policy-missing/, () => rm(target.policyFile)],
  ['an empty file', /policy-malformed/, () => write('')],
  ['a file that was cut off', /policy-malformed/, () => write(text.slice(0, -10))],
  ['bytes that are no text', /policy-malformed/, () => write(Buffer.alloc(100, 0xff))],
  [
    'a mistyped key, which would leave the default in force',
    /did you mean “threshold”/,
    () => write(changed({ treshold: 2 })),
  ],
  [
    'a key given twice, of which parsers take one or the other',
    /“host” appears twice/,
    () => write(text.replace('"host"', '"host": "mail",\n  "host"')),
  ],
  ['another schema', /schema/, () => write(changed({ schema: 2 }))],
  [
    'a key that anybody could sign for',
    /small order/,
    () => write(changed({ trustedKeys: [`weak-1:${Buffer.alloc(32).toString('base64')}`] })),
  ],
  [
    'one key under two names, to meet a threshold of two',
    /the same key/,
    () => write(changed({ trustedKeys: [shop.keys.publicKey, `${name}-again:${base64}`], threshold: 2 })),
  ],
  ['a file that everybody can write', /by everyone.*policy-unsafe/s, () => chmod(target.policyFile, 0o666)],
  ['a file that its group can write', /policy-unsafe/, () => chmod(target.policyFile, 0o664)],
  ['a file of somebody else’s', /user 12345.*policy-unsafe/s, () => chown(target.policyFile, 12345, 12345)],
  ['a file that fills the memory', /policy-malformed/, () => write(Buffer.alloc(2 * 1024 * 1024, 0x20))],
  [
    'a device that never ends',
    /policy-malformed/,
    async () => {
      await rm(target.policyFile);
      await symlink('/dev/zero', target.policyFile);
    },
  ],
];

for (const [what, says, spoil] of cases) {
  test(`${what}`, async () => {
    await rm(target.policyFile, { force: true });
    await writeFile(target.policyFile, text, { mode: 0o644 });
    const paths = await target.validPaths();
    await spoil();
    const ran = await target.verb('agent', ['--once']);
    assert.equal(ran.code, 78, ran.stdout + ran.stderr);
    assert.match(ran.stderr, says);
    assert.deepEqual(await readdir(target.inbox), ['good.tar']);
    assert.deepEqual(await target.validPaths(), paths);
  });
}

test('once it is mended, the bundle is taken', async () => {
  await rm(target.policyFile, { force: true });
  await writeFile(target.policyFile, text, { mode: 0o644 });
  const ran = await target.verb('agent', ['--once']);
  assert.equal(ran.code, 0, ran.stderr);
});
