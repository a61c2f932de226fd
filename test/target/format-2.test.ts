/**
 * What is not signed, spoilt by whoever carries it, on real targets: it brings nothing in, and keeps nothing out for good. And what
 * root reads of an agent that was taken over.
 */
import assert from 'node:assert/strict';
import { appendFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { signManifest } from '../../src/signing/signature-file.ts';
import type { Target } from '../machines/sandboxed-target.ts';
import { makeKeys, makeWorkshop, plainHost } from '../support/fleet.ts';
import { bytesOf, readKey, sha256, takeApart } from '../support/forge.ts';
import { freshLines, linesOf, pieceOf, type Rebuilt, rebuilt, whole } from '../support/forge-release.ts';
import { parse, Targets, take } from '../support/targets.ts';

const shop = await makeWorkshop();
const targets = new Targets(shop);
const release = (name: string, sequence: number) => targets.release(name, '--sequence', String(sequence - 1));
const [one, two, twin] = [await release('one', 10), await release('two', 20), await release('win', 20)];
const kit = {
  running: await takeApart(one),
  good: await takeApart(two),
  trusted: await readKey(shop.keys.secretFile),
};
const { good } = kit;

/** Writes the good bundle with something unsigned changed: its manifest is as ever. */
async function forged(name: string, change: Rebuilt): Promise<string> {
  const path = join(shop.folder, `${name}.tar`);
  await writeFile(path, rebuilt(kit, change));
  assert.ok((await takeApart(path)).manifestBytes.equals(good.manifestBytes));
  return path;
}

const genuinePaths = linesOf(good).map(([name]) => `/nix/store/${name}`);
const isRoot = (path: string) => path.endsWith('-nixmaker-root.drv');

/** What is new is of the signed index, and holds what that says. */
async function requireNothingForeign(target: Target, before: readonly string[]): Promise<void> {
  const added = (await target.validPaths()).filter((p) => !before.includes(p) && !isRoot(p));
  assert.deepEqual(
    added.filter((p) => !genuinePaths.includes(p)),
    [],
  );
  const checked = await target.run(['nix-store', '--verify', '--check-contents', '--store', 'daemon']);
  assert.equal(checked.code, 0, checked.stderr);
}

const fresh = freshLines(kit);
const [first = 0] = fresh;
const last = linesOf(good).length - 1;
const lies: readonly (readonly [what: string, change: Rebuilt, code: string, mayBring: boolean])[] = [
  ['leave out what the target has not', { ways: [] }, 'base-missing', false],
  [
    'give the first path another’s contents',
    { pieces: [whole(first, pieceOf(good, last))] },
    'bundle-malformed',
    false,
  ],
  [
    'give the last path another’s contents',
    { pieces: [whole(last, pieceOf(good, first))] },
    'bundle-malformed',
    true,
  ],
];

for (const [what, change, code, mayBring] of lies)
  test(`contents that ${what}: nothing foreign comes in, and the release is taken when it comes whole`, async () => {
    const { target } = await targets.running();
    const before = await target.validPaths();
    const system = await target.currentSystem();
    const refused = await take(target, 'switch', await forged(what.replaceAll(/[^a-z]/g, '-'), change));
    assert.deepEqual([refused.state, refused.code], ['refused', code], refused.detail);
    await requireNothingForeign(target, before);
    const brought = (await target.validPaths()).some((p) => !before.includes(p) && !isRoot(p));
    // What was signed and came before the lie may be there by then, or still on its way to the daemon.
    assert.ok(mayBring || !brought);
    assert.equal(await target.currentSystem(), system);
    const taken = await take(target, 'switch', two);
    assert.equal(taken.state, 'committed', `${taken.code}: ${taken.detail}`);
  });

/** Well formed, and by nobody: narinfos have the same. */
const wrong = bytesOf(good, 'nix.sig')
  .toString()
  .replaceAll(/^.{88}$/gm, Buffer.alloc(64, 1).toString('base64'));

for (const [what, nixSig] of [
  ['that fit nothing', wrong],
  ['that are left out', ''],
  ['under a name that nobody knows', wrong.replace('fleet-1', 'unknown-1')],
] as const) {
  const name = what.replaceAll(/[^a-z]/g, '-');

  test(`signatures for Nix ${what}: where Nix trusts the store key, root vouches, and the release is taken`, async () => {
    const { target } = await targets.running();
    const before = await target.validPaths();
    const include = `!include ${join(target.stateDirectory, 'store-key.conf')}\n`;
    await appendFile(join(target.root, 'etc/nix.conf'), include);
    assert.equal((await target.verb('store-key')).code, 0);
    await target.restartDaemon();
    const path = await forged(name, { nixSig });
    const ran = await target.verb('switch', ['--tarball', path, '--verbose']);
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stderr, /^vouched/m);
    await requireNothingForeign(target, before);
  });

  test(`signatures for Nix ${what}: where it does not, Nix refuses, and takes the release as it was signed`, async () => {
    const { target } = await targets.running();
    const before = await target.validPaths();
    const refused = await take(target, 'switch', await forged(name, { nixSig }));
    assert.deepEqual([refused.state, refused.code], ['failed', 'nix-key-untrusted'], refused.detail);
    assert.deepEqual(await target.validPaths(), before);
    const taken = await take(target, 'switch', two);
    assert.equal(taken.state, 'committed', `${taken.code}: ${taken.detail}`);
  });
}

type Attached = Readonly<Record<'manifest' | 'signatures' | 'index', Buffer>>;
const genuine: Attached = {
  manifest: good.manifestBytes,
  signatures: good.signatureBytes,
  index: bytesOf(good, 'index'),
};

let requests = 0;

/** Asks root as an agent that was taken over can, and has root’s unit do its work. @returns what became of it */
async function ask(target: Target, lay: (file: (kind: string) => string) => Promise<unknown>) {
  requests += 1;
  const transaction = String(requests).padStart(12, '0');
  const folder = join(target.root, 'runtime/requests');
  await mkdir(folder, { recursive: true });
  const file = (kind: string) => join(folder, `${transaction}.${kind}`);
  await lay(file);
  const request = { schema: 2, transaction, operation: 'switch', source: 'x.tar' };
  await writeFile(file('json'), JSON.stringify(request));
  const ran = await target.verb('activate');
  assert.equal(ran.code, 0, ran.stderr);
  return parse(await readFile(join(target.stateDirectory, 'receipts', `${transaction}.json`), 'utf8'));
}

const lay = (attached: Partial<Attached>) => async (file: (kind: string) => string) => {
  for (const [kind, bytes] of Object.entries(attached)) await writeFile(file(kind), bytes);
};

test('root believes an agent nothing: each file that comes with a request counts by what was signed', async () => {
  const { target } = await targets.running();
  const [profile, system] = [await target.profile(), await target.currentSystem()];
  const other = await takeApart(twin);
  const foreign = bytesOf(other, 'index');
  assert.equal(foreign.length, genuine.index.length, 'only the digest tells them apart');
  const stranger = await readKey((await makeKeys(shop.folder, 'stranger-1')).secretFile);
  const changed = Buffer.from(good.manifestBytes.toString().replace(/"sequence":\d+/, '"sequence":21'));
  for (const [attached, code, says] of [
    [{ ...genuine, index: foreign }, 'bundle-altered', /the index does not match what was signed/],
    [
      { ...genuine, index: Buffer.concat([genuine.index, foreign]) },
      'bundle-malformed',
      /the request’s index: it has \d+ bytes/,
    ],
    [
      { ...genuine, index: genuine.index.subarray(1) },
      'bundle-altered',
      /the index does not match what was signed/,
    ],
    [
      { manifest: genuine.manifest, signatures: genuine.signatures },
      'bundle-malformed',
      /the request’s index: ENOENT/,
    ],
    [{ ...genuine, manifest: changed }, 'signature-invalid', /“fleet-1”/],
    [
      { ...genuine, signatures: Buffer.from(signManifest(genuine.manifest, stranger)) },
      'signature-unknown-key',
      /stranger-1/,
    ],
    // Nothing is wrong with these, but that nothing was imported.
    [genuine, 'closure-incomplete', /is not in the store/],
  ] as const) {
    const receipt = await ask(target, lay(attached));
    assert.deepEqual(
      [receipt.code, ['refused', 'failed'].includes(receipt.state)],
      [code, true],
      receipt.detail,
    );
    assert.match(receipt.detail ?? '', says);
    assert.deepEqual([await target.profile(), await target.currentSystem()], [profile, system]);
  }
  const linked = await ask(target, async (file) => {
    const elsewhere = join(target.root, 'elsewhere');
    await writeFile(elsewhere, genuine.index);
    await lay({ manifest: genuine.manifest, signatures: genuine.signatures })(file);
    await symlink(elsewhere, file('index'));
  });
  assert.deepEqual([linked.code, await target.profile()], ['bundle-malformed', profile], linked.detail);
  // None of it counts against the release.
  assert.equal((await take(target, 'switch', two)).state, 'committed');
});

test('what was imported is activated where all that comes with the request is as it was signed', async () => {
  const { target } = await targets.running();
  // Brought in by whoever may; nothing is activated.
  const imported = await take(target, 'dry-activate', two);
  assert.equal(imported.state, 'committed', imported.detail);
  const receipt = await ask(target, lay(genuine));
  assert.equal(receipt.state, 'committed', `${receipt.code}: ${receipt.detail}`);
  assert.equal(await target.currentSystem(), good.manifest.toplevel);
});

test('a release has one manifest, whole and as a difference: what was taken as the one is known as the other', async () => {
  const difference = await shop.bundle('two-since', {
    hosts: { web: plainHost('web', 'two') },
    args: ['--sequence', '19', '--since', one],
  });
  const apart = await takeApart(difference);
  assert.equal(sha256(apart.manifestBytes), sha256(good.manifestBytes));
  assert.ok(!bytesOf(apart, 'contents').equals(bytesOf(good, 'contents')), 'it carries something else');
  const { target } = await targets.running();
  assert.equal((await take(target, 'switch', two)).state, 'committed');
  const again = await take(target, 'switch', difference);
  assert.deepEqual([again.state, again.generation], ['committed', undefined], again.detail);
  assert.equal(again.detail, 'This bundle was already taken; there was nothing to do.');
});
