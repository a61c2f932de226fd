/**
 * SIGKILL at every step of a `put` that writes, completes, and takes away; then another desk’s. After each the medium serves every host
 * with something whole; after the other’s nothing is left that nobody needs, and nothing is missing. The whole of it with
 * NIXMAKER_CASES=all, otherwise a part that begins elsewhere with every step that is added.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkAllPieces } from '../../src/bundle/contents.ts';
import { readHeadFiles } from '../../src/bundle/head-files.ts';
import { listPool, openPool, readPoolRelease } from '../../src/bundle/pool.ts';
import { PathSigner } from '../../src/desk/build/path-signer.ts';
import { makeKeyringFile, signKeyringFile } from '../../src/desk/keys/keyring.ts';
import { withoutVerifying } from '../../src/desk/keys/read-release.ts';
import { putBundles } from '../../src/desk/pool/put.ts';
import { generateKeyPair, parseSecretKey } from '../../src/signing/nix-key.ts';
import { signManifest } from '../../src/signing/signature-file.ts';
import { signerWith } from '../../src/signing/signer.ts';
import { main } from '../machines/compiled.ts';
import { type Ran, run } from '../machines/program.ts';
import { temporaryFolder, writeTestBundle } from '../support/bundles.ts';
import { inSample } from '../support/cases.ts';
import { writeOtherContents } from '../support/other-contents.ts';
import { keepTable } from '../support/out.ts';

const preload = new URL('../machines/kill-preload.ts', import.meta.url).pathname;

/** `sequence` of each host that can be taken from the medium: all that is announced is there, and is what was signed. */
async function whole(medium: string): Promise<string[]> {
  const found: string[] = [];
  for (const { host, sequence, folder } of await listPool(medium)) {
    const head = await readHeadFiles(folder);
    // Taken away, manifest first.
    if (head === undefined) continue;
    const release = await readPoolRelease(folder, withoutVerifying(head));
    assert.equal(release.pieces.size, release.index.length, `${host}/${sequence}: each path can be had`);
    const pool = openPool(folder, release);
    await checkAllPieces(pool).finally(() => pool.close());
    found.push(`${host}/${sequence}`);
  }
  return found;
}

const drafts = async (medium: string) =>
  (await readdir(medium, { recursive: true })).filter((name) => /(?:^|\/)\.(?!lock$)[^/]+$/.test(name));

test('killed at any step, a put leaves every host something whole, and the next desk’s put makes all of it right', async (t) => {
  const folder = await temporaryFolder(t);
  const golden = join(folder, 'golden');
  await mkdir(golden);
  const bundle = async (host: string, sequence: number) => {
    const path = join(folder, `${host}-${sequence}.tar`);
    return { path, made: await writeTestBundle(path, { manifest: { host, sequence } }) };
  };
  const [web1, web2, web3] = [await bundle('web', 1), await bundle('web', 2), await bundle('web', 3)];
  const [mail, db] = [await bundle('mail', 1), await bundle('db', 1)];
  await putBundles({ medium: golden, bundles: [web1.path, mail.path], keep: 1 });
  // The same release, signed by a second key as well: the entry is completed.
  const second = parseSecretKey(generateKeyPair('second-1').secret);
  const signed = join(folder, 'mail-signed.tar');
  await writeOtherContents(signed, mail.made, {
    pieces: [],
    signatureBytes: Buffer.from(signManifest(mail.made.manifestBytes, second)),
    nixSignatures: new PathSigner(second).block(mail.made.release.index),
  });
  const said = {
    schema: 1,
    version: 2,
    hosts: ['web'],
    threshold: 1,
    roles: {},
    trustedKeys: [] as string[],
  };
  const signer = signerWith(second);
  const keyring = join(folder, '2.keyring');
  await writeFile(`${keyring}.json`, JSON.stringify({ ...said, trustedKeys: [signer.publicText] }));
  await makeKeyringFile(`${keyring}.json`, keyring);
  await signKeyringFile(keyring, signer);

  const put = (medium: string, files: readonly string[], kill?: number): Promise<Ran> =>
    run(process.execPath, ['--import', preload, main, 'put', medium, '--plain-folder', ...files], {
      env: {
        NIXMAKER_TEST_PLACE: medium,
        NIXMAKER_TEST_STEPS: join(folder, 'steps'),
        ...(kill === undefined ? {} : { NIXMAKER_TEST_KILL: String(kill) }),
      },
    });
  const ours = [web2.path, signed, keyring];
  const copy = async (name: string) => {
    const medium = join(folder, name);
    await cp(golden, medium, { recursive: true });
    return medium;
  };
  const undisturbed = await put(await copy('undisturbed'), ours);
  assert.equal(undisturbed.code, 0, undisturbed.stderr);
  const steps = (await readFile(join(folder, 'steps'), 'utf8')).trim().split('\n');
  assert.ok(steps.length > 49, String(steps.length));
  const table: Record<string, string> = {};
  for (const [i, step] of steps.entries()) {
    if (!inSample(i, steps.length % 4, 4)) continue;
    const medium = await copy('killed');
    const killed = await put(medium, ours, i + 1);
    const where = `${i + 1}: ${step.replaceAll(/\/\S*\/undisturbed/g, '')}`;
    assert.equal(killed.signal, 'SIGKILL', `${where}: ${killed.stderr}`);
    const between = await whole(medium);
    for (const host of ['web/', 'mail/1'])
      assert.ok(
        between.some((e) => e.startsWith(host)),
        `${where}: ${between}`,
      );
    const other = ['--uts', 'sh', '-euc', 'hostname elsewhere; exec "$@"', 'sh'];
    const next = [process.execPath, main, 'put', medium, '--plain-folder', web3.path, db.path];
    const ran = await run('unshare', [...other, ...next]);
    assert.equal(ran.code, 0, `${where}: ${ran.stderr}`);
    assert.deepEqual(await whole(medium), ['db/1', 'mail/1', 'web/3'], where);
    assert.deepEqual(await drafts(medium), [], where);
    const again = await putBundles({ medium, bundles: [db.path], keep: 1 });
    assert.deepEqual([again.collected, again.notices], [0, []], where);
    table[where] = between.join(' ');
    await rm(medium, { recursive: true });
  }
  assert.ok(Object.keys(table).length > steps.length / 5);
  await keepTable('put-killed', { steps: steps.length, table });
});
