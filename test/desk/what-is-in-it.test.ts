/** What a release is made of, where it comes from, who built it again, and what is known against it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { StorePath } from '../../src/core/store-path.ts';
import { makeDesk } from '../support/desk.ts';
import { plainHost, writeFlake } from '../support/fleet.ts';
import { install, lay, nowOf, systemOf } from '../support/receipts.ts';

const { folder, keys, nixmaker, ok, makeKeys } = await makeDesk();
const flake = `path:${await writeFlake(join(folder, 'flake'))}`;
const first = join(folder, 'first/web/web.tar');
const builder = 'https://builds.example.org/one';
await ok(
  'build',
  '-f',
  flake,
  '-d',
  join(folder, 'first'),
  '--key',
  keys.secretFile,
  '--provenance',
  builder,
);
const provenance = join(folder, 'first/web/provenance.json');

test('a bill of materials has every path and what it refers to, and is the same each time', async () => {
  const text = await ok('sbom', first);
  assert.equal(await ok('sbom', first), text);
  const bom = JSON.parse(text) as {
    bomFormat: string;
    specVersion: string;
    serialNumber: string;
    metadata: { component: { name: string; version: string; 'bom-ref': string } };
    components: { 'bom-ref': string; name: string; version?: string }[];
    dependencies: { ref: string; dependsOn?: string[] }[];
  };
  assert.deepEqual([bom.bomFormat, bom.specVersion], ['CycloneDX', '1.6']);
  assert.match(
    bom.serialNumber,
    /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  assert.deepEqual([bom.metadata.component.name, bom.metadata.component.version], ['web', '1']);
  const { manifest } = JSON.parse(await ok('inspect', '--json', first)) as {
    manifest: { totals: { paths: number }; toplevel: string };
  };
  assert.equal(bom.components.length, manifest.totals.paths);
  const root = manifest.toplevel.slice('/nix/store/'.length);
  const dependsOn = new Map(bom.dependencies.map(({ ref, dependsOn: on = [] }) => [ref, on]));
  assert.deepEqual(dependsOn.get('web@1'), [root]);
  assert.ok((dependsOn.get(root) ?? []).length > 0);
  for (const on of dependsOn.values()) for (const ref of on) assert.ok(dependsOn.has(ref), ref);
});

test('beside the manifest on a medium there is one if it was asked for; it is read back, stays with its sequence, and goes with it', async () => {
  const stick = join(folder, 'stick');
  await mkdir(stick);
  await ok('put', stick, first);
  const entry = join(stick, 'nixmaker/hosts/web/1');
  const beside = join(entry, 'sbom.cdx.json');
  assert.ok(!existsSync(beside));
  await ok('put', '--sbom', stick, first);
  assert.deepEqual(JSON.parse(await readFile(beside, 'utf8')), JSON.parse(await ok('sbom', first)));
  await writeFile(beside, '{}');
  await ok('put', '--sbom', stick, first);
  assert.ok((await readFile(beside, 'utf8')).length > 1000, 'what is damaged is written again');
  await ok('put', stick, first);
  assert.ok(existsSync(beside), 'it is still right');
  const split = await nixmaker('put', '--sbom', stick, first, '--size', '700M');
  assert.equal(split.code, 64);
  const later = join(folder, 'later');
  await cp(join(folder, 'first'), later, { recursive: true });
  const changed = await writeFlake(join(folder, 'changed'), { hosts: { web: plainHost('web', 'changed') } });
  await ok('put', '--sbom', stick, '-f', `path:${changed}`, '-d', later, '--key', keys.secretFile);
  assert.ok(!existsSync(entry), 'it goes with its sequence');
  const [sequence = ''] = (await readdir(join(entry, '..'))).filter((name) => /^[0-9]+$/.test(name));
  assert.ok(existsSync(join(entry, '..', sequence, 'sbom.cdx.json')));
});

test('a provenance statement says where a release comes from, and is believed only for it and from its signer', async () => {
  const verify = (...args: string[]) => nixmaker('verify', '--provenance', provenance, ...args);
  const good = await verify('--key', keys.publicKey, first);
  assert.equal(good.code, 0, good.stdout + good.stderr);
  assert.match(good.stdout, /^ok: web 1.*\nbuilt by https:\/\/builds\.example\.org\/one from path:/);
  const { payload, payloadType } = JSON.parse(await readFile(provenance, 'utf8')) as Record<string, string>;
  assert.equal(payloadType, 'application/vnd.in-toto+json');
  const said = JSON.parse(Buffer.from(payload ?? '', 'base64').toString('utf8'));
  assert.equal(said.predicateType, 'https://slsa.dev/provenance/v1');
  assert.match(said.predicate.buildDefinition.resolvedDependencies[0].digest.narHash, /^sha256-/);

  const other = await makeKeys('other-1');
  const second = join(folder, 'other/web/web.tar');
  await ok('build', '-f', flake, '-d', join(folder, 'other'), '--sequence', '7', '--key', keys.secretFile);
  const mismatch = await verify('--key', keys.publicKey, second);
  assert.equal(mismatch.code, 65);
  assert.match(mismatch.stdout, /^provenance-mismatch: it is about web\/manifest\.json with other contents/);
  await ok('sign', '--key', other.secretFile, second);
  const stranger = await verify('--key', other.publicKey, second);
  assert.match(
    stranger.stdout,
    /^signature-unknown-key: the provenance statement is signed by fleet-1, and by none/,
  );
  await writeFile(join(folder, 'none.json'), '{}');
  const none = await nixmaker(
    'verify',
    '--provenance',
    join(folder, 'none.json'),
    '--key',
    keys.publicKey,
    first,
  );
  assert.match(none.stdout, /^provenance-malformed: it is not an envelope/);
  const unsigned = await nixmaker('build', '-f', flake, '-d', join(folder, 'un'), '--provenance', builder);
  assert.match(unsigned.stderr, /--provenance needs a key/);
});

test('a second builder gets the same manifest and signs it; without that, or by the first alone, it is not rebuilt', async () => {
  const second = await makeKeys('second-1');
  const again = join(folder, 'again/web/web.tar');
  await ok('build', '-f', flake, '-d', join(folder, 'again'), '--key', second.secretFile);
  const place = join(folder, 'from-second');
  await mkdir(place);
  const { execFileSync } = await import('node:child_process');
  execFileSync('tar', ['-xf', again, '-C', place, 'manifest.sig']);
  const verify = () => nixmaker('verify', '--key', keys.publicKey, '--rebuilt-by', second.publicKey, first);
  const before = await verify();
  assert.equal(before.code, 65);
  assert.match(before.stdout, /^not-rebuilt: it is signed by fleet-1, not by “second-1”/);
  await ok('sign', first, '--signatures', join(place, 'manifest.sig'));
  const after = await verify();
  assert.equal(after.code, 0, after.stdout + after.stderr);
  assert.match(after.stdout, /signed by (?:fleet-1, second-1|second-1, fleet-1)/);
  const alone = await nixmaker('verify', '--key', keys.publicKey, '--rebuilt-by', second.publicKey, again);
  assert.match(alone.stdout, /^signature-unknown-key: only the second builder/);
  const same = await nixmaker('verify', '--key', keys.publicKey, '--rebuilt-by', keys.publicKey, first);
  assert.match(same.stderr, /are the same key/);
});

test('advisories are held against what receipts list; a host whose list is missing is not known', async () => {
  const stick = join(folder, 'stick');
  const [web, mail] = [install('web'), install('mail')];
  const names = [systemOf(1), `/nix/store/${'1'.repeat(32)}-openssl-3.0.4`].map((p) => p.slice(11));
  const gzip = gzipSync(names.join('\n')).toString('base64');
  const paths = { toplevel: systemOf(1) as StorePath, count: names.length, gzip };
  await lay(stick, 'web', { '1.json': web.sign({ number: 1, now: { ...nowOf(1, 1), paths } }) });
  await lay(stick, 'mail', { '1.json': mail.sign({ number: 1 }) });
  const fleet = join(folder, 'fleet');
  await ok('collect', stick, '--enrol', '-d', fleet);
  const affected = [
    {
      package: { ecosystem: 'x', name: 'openssl' },
      ranges: [{ type: 'ECOSYSTEM', events: [{ introduced: '0' }, { fixed: '3.0.5' }] }],
    },
  ];
  const file = join(folder, 'osv.json');
  await writeFile(file, JSON.stringify([{ id: 'CVE-2026-1', summary: 'a hole \u001b[31m', affected }, 5]));
  const told = await nixmaker('fleet', '-d', fleet, '--advisories', file);
  assert.equal(told.code, 0, told.stderr);
  assert.match(told.stdout, /CVE-2026-1 +openssl +3\.0\.4 +affected +web +a hole/);
  assert.ok(!told.stdout.includes('\u001b[31m'));
  assert.match(told.stderr, /mail: not known, because no receipt lists what is installed/);
  assert.match(told.stderr, /1 entries are no advisories/);
  const json = JSON.parse(await ok('fleet', '-d', fleet, '--advisories', file, '--json')) as {
    advisories: { hosts: { host: string; found?: { id: string }[] }[] };
  };
  assert.deepEqual(
    json.advisories.hosts.map(({ host, found }) => [host, found?.map(({ id }) => id)]),
    [
      ['mail', undefined],
      ['web', ['CVE-2026-1']],
    ],
  );
  await writeFile(file, 'no JSON');
  const bad = await nixmaker('fleet', '-d', fleet, '--advisories', file);
  assert.match(bad.stderr, /osv\.json is not JSON.*\(advisories-malformed\)/s);
});
