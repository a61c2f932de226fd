/** `put` over several media: none overfull, each complete in itself; and images for discs. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hostsOf, hostsTableOf } from '../../src/bundle/pool.ts';
import { NixmakerError } from '../../src/core/errors.ts';
import { findImageMaker, makeImage } from '../../src/desk/pool/disc-image.ts';
import { runProgram } from '../../src/process/run.ts';
import { main } from '../machines/compiled.ts';
import { run } from '../machines/program.ts';
import { temporaryFolder, writeTestBundle } from '../support/bundles.ts';
import { smallDisk, withOwnMounts } from '../support/own-mounts.ts';
import { nars } from '../support/stick.ts';

const discs = process.env.NIXMAKER_DISCS;
if (discs === undefined)
  throw new Error('NIXMAKER_DISCS is not set: run this test with scripts/test, on Debian');

async function prepare(t: TestContext) {
  const folder = await temporaryFolder(t);
  const bundles: string[] = [];
  for (const host of ['mail', 'web']) {
    const path = join(folder, `${host}.tar`);
    await writeTestBundle(path, { manifest: { host, sequence: 1 }, fileSizes: [400_000, 500_000] });
    bundles.push(path);
  }
  return { folder, bundles };
}

const put = (...args: string[]) => run(process.execPath, [main, 'put', ...args]);

/** What each of them carries. */
const carried = (media: readonly string[]) =>
  Promise.all(media.map(async (medium) => (await nars(medium)).sort()));

/** Nothing twice, and nothing left out. */
async function assertSplit(parts: readonly string[], whole: string) {
  const names = (await carried(parts)).flat();
  assert.equal(new Set(names).size, names.length);
  assert.deepEqual(names.sort(), (await carried([whole])).flat());
}

await withOwnMounts(import.meta.url, async () => {
  test('sticks are filled one after the other, the same again changes nothing, and a stick too few is told', async (t) => {
    const { folder, bundles } = await prepare(t);
    const sticks: string[] = [];
    for (let i = 0; i < 3; i++) sticks.push(await smallDisk(t, 4_000_000));
    const [first = '', ...others] = sticks;
    const whole = join(folder, 'whole');
    await mkdir(whole);
    assert.equal((await put(whole, ...bundles)).code, 0);
    const split = others.flatMap((stick) => ['--split', stick]);
    const made = await put(first, ...bundles, ...split, '--json');
    assert.equal(made.code, 0, made.stderr);
    const { parts } = JSON.parse(made.stdout) as { parts: unknown[] };
    assert.deepEqual(
      parts,
      sticks.slice(0, parts.length).map((place, i) => ({ part: i + 1, of: parts.length, place })),
    );
    assert.ok(parts.length > 1);
    await assertSplit(sticks.slice(0, parts.length), whole);
    const used = sticks.slice(0, parts.length);
    const before = await carried(used);
    const again = await put(first, ...bundles, ...split);
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(await carried(used), before);

    const tooFew = await put(first, ...bundles, '--split', join(folder, 'missing'));
    assert.match(tooFew.stderr, /missing is not a folder.*\(no-medium\)/s);
    // A keyring would be on each of them, and so is a table of hosts.
    const [json, table] = [join(folder, 'web.json'), join(folder, 'web.hosts')];
    const hosts = [{ host: 'web', serial: 'PF-4711' }];
    await writeFile(
      json,
      JSON.stringify({ schema: 1, createdAt: '2026-11-01T00:00:00Z', unattended: false, hosts }),
    );
    for (const args of [
      ['keygen', 'desk', '--out', folder],
      ['hosts', 'make', json, table],
      ['hosts', 'sign', '--key', join(folder, 'desk.secret'), table],
      ['put', first, ...bundles, table, ...split],
    ])
      assert.equal((await run(process.execPath, [main, ...args])).code, 0, args.join(' '));
    for (const each of used) assert.ok(existsSync(hostsTableOf(each)), each);
    // A whole release on what was one of several: the medium is no part any more.
    const hint = join(hostsOf(first), 'mail/1/parts.json');
    assert.ok(existsSync(hint));
    assert.equal((await put(first, bundles[0] as string)).code, 0);
    assert.ok(!existsSync(hint));
  });

  test('discs of a size are folders, or images if the desk has what makes them, with a label and all that is in the folder', async (t) => {
    const { folder, bundles } = await prepare(t);
    const out = join(folder, 'discs');
    await mkdir(out);
    const { PATH } = process.env;
    t.after(() => {
      process.env.PATH = PATH;
    });
    process.env.PATH = '/nowhere';
    assert.equal(await findImageMaker(runProgram), undefined);
    process.env.PATH = PATH;
    if ((await findImageMaker(runProgram)) === undefined) {
      const made = await put(out, ...bundles, '--size', '1.2M');
      assert.equal(made.code, 0, made.stderr);
      assert.match(made.stderr, /Neither xorriso nor genisoimage is here.*\nPart 1 of 2: .*part-1\n/s);
      assert.deepEqual((await readdir(out)).sort(), ['part-1', 'part-2']);
    }
    // Another’s folder of that name is not an earlier split’s.
    await mkdir(join(out, 'part-2/photos'), { recursive: true });
    const refused = await put(out, ...bundles, '--size', '1.2M');
    assert.match(refused.stderr, /part-2 is no part of an earlier split: it has “photos”.*\(usage\)/s);
    assert.ok(existsSync(join(out, 'part-2/photos')));
    await rmdir(join(out, 'part-2/photos'));
    process.env.PATH = `${discs}:${PATH}`;
    const made = await put(out, ...bundles, '--size', '1.2M');
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stderr, /Images made with xorriso/);
    assert.deepEqual((await readdir(out)).sort(), ['part-1.iso', 'part-2.iso']);
    const unpacked: string[] = [];
    for (const part of [1, 2]) {
      const image = join(out, `part-${part}.iso`);
      const to = join(folder, `unpacked-${part}`);
      unpacked.push(to);
      const read = await run('xorriso', [
        '-osirrox',
        'on',
        '-indev',
        image,
        '-pvd_info',
        '-extract',
        '/',
        to,
      ]);
      assert.equal(read.code, 0, read.stderr);
      assert.match(read.stdout, new RegExp(`Volume Id +: +'?NIXMAKER_${part}_OF_2`));
    }
    const whole = join(folder, 'whole');
    await mkdir(whole);
    assert.equal((await put(whole, ...bundles)).code, 0);
    await assertSplit(unpacked, whole);

    const maker = await findImageMaker(runProgram);
    assert.ok(maker);
    const disc = { folder: whole, image: join(folder, 'small.iso'), label: 'SMALL', size: 100_000 };
    await assert.rejects(makeImage(runProgram, maker, disc), (error: unknown) => {
      assert.ok(error instanceof NixmakerError);
      assert.equal(error.code, 'medium-full');
      assert.match(error.detail, /small\.iso would have .*; a disc holds 97\.7 KiB/);
      return true;
    });
    assert.ok(!existsSync(disc.image));
  });

  test('a size that is none, both ways at once, and a piece that fits on no disc are refused', async (t) => {
    const { folder, bundles } = await prepare(t);
    for (const [args, why] of [
      [['--size', '700X'], /--size “700X” is not a size, such as 700M or 4\.7G/],
      [['--size', '700M', '--split', folder], /pass one of them/],
      [['--split', folder], /a medium is named twice/],
      [
        ['--size', '300K'],
        /has [\d.]+ KiB, and [\d.]+ KiB are left on the last medium; .* have no place.*\(medium-full\)/s,
      ],
    ] as const)
      assert.match((await put(folder, ...bundles, ...args)).stderr, why);
    assert.match((await put(folder, '--size', '700M', '-f', '.')).stderr, /build first/);
  });
});
