/** `build --since`: the same release as the whole bundle has, with less in it. */
import assert from 'node:assert/strict';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { pieceName } from '../../src/core/release/contents-file.ts';
import { readRelease } from '../../src/desk/keys/read-release.ts';
import { nixSystem } from '../machines/program.ts';
import { makeDesk } from '../support/desk.ts';
import { plainHost, writeFlake } from '../support/fleet.ts';
import { install, nowOf } from '../support/receipts.ts';

const { builder, folder, keys, nixmaker, ok } = await makeDesk();

const flakeOf = (motd: string) =>
  writeFlake(join(folder, motd), {
    hosts: { web: plainHost('web', `${motd} ${'of the day '.repeat(2000)}`) },
  });
const bundleIn = (out: string) => join(folder, out, 'web/web.tar');
const build = async (motd: string, out: string, ...args: string[]) => {
  await ok(
    'build',
    '-f',
    `path:${await flakeOf(motd)}`,
    '-d',
    join(folder, out),
    '--key',
    keys.secretFile,
    ...args,
  );
  return bundleIn(out);
};

test('since a bundle: the same manifest, index and sequence as whole; what the host has is not in it', async () => {
  const first = await build('one', 'first');
  const whole = await build('two', 'whole', '--sequence', '1');
  for (const [out, args] of [
    ['since', []],
    ['since-whole', ['--no-deltas']],
  ] as const) {
    const since = await build('two', out, '--since', first, '--sequence', '1', ...args);
    const [one, other] = [await readRelease(whole), await readRelease(since)];
    assert.deepEqual(other.manifest, one.manifest);
    assert.ok(Buffer.from(other.index.bytes).equals(one.index.bytes));
    assert.deepEqual(other.nixSignatures.bytes, one.nixSignatures.bytes);
    const had = await readRelease(first);
    const paths = new Set(Array.from({ length: had.index.length }, (_, line) => had.index.path(line)));
    for (let line = 0; line < other.index.length; line++)
      assert.equal(other.pieces.has(line), !paths.has(other.index.path(line)), other.index.path(line));
    const kinds = new Set([...other.pieces.values()].flat().map((p) => p.kind));
    assert.equal(kinds.has('delta'), out === 'since', [...kinds].join());
    assert.ok((await stat(since)).size < (await stat(whole)).size);
    await ok('verify', '--key', keys.publicKey, since);
  }
});

test('whole in the place of a difference, and the other way round, keeps the sequence', async () => {
  const first = await build('one', 'kept-base');
  const sequence = async () => (await readRelease(bundleIn('kept'))).manifest.sequence;
  await build('two', 'kept', '--sequence', '1');
  assert.equal(await sequence(), 2);
  await build('two', 'kept', '--since', first);
  assert.equal(await sequence(), 2);
  await build('two', 'kept');
  assert.equal(await sequence(), 2);
  await build('three', 'kept', '--since', first);
  assert.equal(await sequence(), 3);
});

test('the sequence is above what the host has taken, in whatever folder it is built', async () => {
  const base = await build('one', 'floor-base', '--sequence', '30');
  const since = await build('two', 'floor-new', '--since', base);
  assert.equal((await readRelease(since)).manifest.sequence, 32);
  const { index, manifest } = await readRelease(base);
  const names = Array.from({ length: index.length }, (_, line) => index.path(line).slice(11));
  const paths = {
    toplevel: manifest.toplevel,
    count: names.length,
    gzip: gzipSync(names.join('\n')).toString('base64'),
  };
  const receipt = join(folder, 'receipt.json');
  await writeFile(receipt, install('web').sign({ number: 9, now: { ...nowOf(31, 40), paths } }));
  assert.equal(
    (await readRelease(await build('two', 'floor-receipt', '--since', receipt))).manifest.sequence,
    41,
  );
  const asked = await build('two', 'floor-higher', '--since', receipt, '--sequence', '50');
  assert.equal((await readRelease(asked)).manifest.sequence, 51);
});

test('inspect says what is carried, and lists all paths', async () => {
  const since = await build('two', 'told', '--since', await build('one', 'told-base'));
  const said = await ok('inspect', since);
  assert.match(
    said,
    /^Carried: +\d+ paths in full, \d+ as deltas, \d+ left out \(the host has them\); .*signed for Nix by fleet-1$/m,
  );
  const { schema, contents, paths } = JSON.parse(await ok('inspect', '--json', '--paths', since)) as {
    schema: number;
    contents: { leftOut: number };
    paths: string[];
  };
  assert.deepEqual([schema, contents.leftOut > 0], [2, true]);
  assert.equal(paths.length, (await readRelease(since)).index.length);
  const bytes = await readFile(since);
  await writeFile(since, bytes.subarray(0, 4096));
  assert.match(await ok('inspect', since), /^Carried: +unknown \(bundle-truncated\)$/m);
});

test('pack refuses a cache that holds something else than it says', async () => {
  const bundle = await build('one', 'packed');
  const [derivation = '', toplevel = ''] = (await readFile(join(folder, 'packed/web/meta'), 'utf8'))
    .trim()
    .split('\n');
  const { index } = await readRelease(bundle);
  const pack = async (spoil: (cache: string, narinfo: string) => Promise<unknown>) => {
    const cache = join(folder, 'packed-cache');
    await rm(cache, { recursive: true, force: true });
    await builder.run(['nix', 'copy', '--to', `file://${cache}?compression=zstd`, toplevel]);
    const narinfo = join(cache, `${index.path(0).slice(11, 43)}.narinfo`);
    await spoil(cache, narinfo);
    const names = [
      '--host',
      'web',
      '--system',
      nixSystem,
      '--toplevel',
      toplevel,
      '--derivation',
      derivation,
    ];
    return builder.nixmaker(['pack', cache, '-d', join(folder, 'packed-again'), ...names]);
  };
  const sound = await pack(async () => undefined);
  assert.equal(sound.code, 0, sound.stderr);
  const line = (text: string, name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1] ?? '';
  const cases: [RegExp, (cache: string, narinfo: string) => Promise<unknown>][] = [
    [
      /bundle-altered|is damaged/,
      async (cache, narinfo) => {
        const file = join(cache, line(await readFile(narinfo, 'utf8'), 'URL'));
        const bytes = await readFile(file);
        bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 1;
        await writeFile(file, bytes);
      },
    ],
    [
      /it does not unpack to the NAR/,
      async (_cache, narinfo) => {
        const text = await readFile(narinfo, 'utf8');
        const hash = line(text, 'NarHash');
        await writeFile(narinfo, text.replace(hash, `sha256:${'0'.repeat(52)}`));
      },
    ],
    [
      /is not compressed with zstd/,
      async (_cache, narinfo) =>
        writeFile(narinfo, (await readFile(narinfo, 'utf8')).replace('Compression: zstd', 'Compression: xz')),
    ],
    [
      /\.nar\.zst is missing.*\(cache-unusable\)/s,
      async (cache, narinfo) => rm(join(cache, line(await readFile(narinfo, 'utf8'), 'URL'))),
    ],
  ];
  for (const [said, spoil] of cases) {
    const ran = await pack(spoil);
    assert.notEqual(ran.code, 0);
    assert.match(ran.stderr, said);
    assert.doesNotMatch(ran.stderr, /internal/);
  }
});

test('what is written is what the bundle announces: each piece under its own digest', async () => {
  const { pieces } = await readRelease(await build('one', 'digests'));
  const names = [...pieces.values()].flat().map(pieceName);
  assert.ok(names.length > 0 && names.every((name) => /^nar\/(..)\/\1[^/]{50}\.nar\.zst$/.test(name)));
  assert.equal((await nixmaker('verify', '--key', keys.publicKey, bundleIn('digests'))).code, 0);
});
