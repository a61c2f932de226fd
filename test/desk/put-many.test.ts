/** `put` beside hosts of which it reads nothing: whatever is put, cut off, damaged and cleared away, no entry lacks what it needs. */
import assert from 'node:assert/strict';
import fs, { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { readHeadFiles } from '../../src/bundle/head-files.ts';
import { cacheOf, hostsOf, indexName, listPool, nixSignaturesName } from '../../src/bundle/pool.ts';
import { NixmakerError } from '../../src/core/errors.ts';
import type { ProcessRunner } from '../../src/core/ports.ts';
import { namesInContents } from '../../src/core/release/contents-file.ts';
import { putBundles } from '../../src/desk/pool/put.ts';
import { readManifest } from '../../src/signing/verify.ts';
import { nix32Of, temporaryFolder, wholePiece, writeTestBundle } from '../support/bundles.ts';

/** Compressed NARs that hosts share: `put` looks at digests, not into them. */
const shared = Array.from({ length: 6 }, (_, i) => Buffer.alloc(200 + i, `piece ${i} `));

interface Desk {
  readonly medium: string;
  /** A bundle of the host whose three paths have these of the shared pieces. */
  bundle(host: string, sequence: number, pieces: readonly number[]): Promise<string>;
}

async function desk(folder: string): Promise<Desk> {
  const medium = join(folder, 'stick');
  await mkdir(medium, { recursive: true });
  const made = new Map<string, Promise<string>>();
  const make = async (host: string, sequence: number, pieces: readonly number[]) => {
    const path = join(folder, `${host}-${sequence}.tar`);
    await writeTestBundle(path, {
      manifest: { host, sequence },
      pieces: () => pieces.map((piece, line) => wholePiece(line, shared[piece] as Buffer)),
    });
    return path;
  };
  return {
    medium,
    bundle: (host, sequence, pieces) => {
      const name = `${host}-${sequence}`;
      const making = made.get(name) ?? make(host, sequence, pieces);
      made.set(name, making);
      return making;
    },
  };
}

/** By entry, the names below `cache/` that it needs, of those that can be read. */
async function needsOn(medium: string): Promise<Map<string, readonly string[]>> {
  const needs = new Map<string, readonly string[]>();
  for (const { host, sequence, folder } of await listPool(medium)) {
    const head = await readHeadFiles(folder);
    assert.ok(head);
    const manifest = readManifest(head.manifestBytes);
    const contents = await readFile(join(folder, 'contents'));
    needs.set(`${host}/${sequence}`, [
      indexName(manifest),
      nixSignaturesName(manifest),
      ...namesInContents(contents),
    ]);
  }
  return needs;
}

async function filesOn(medium: string): Promise<string[]> {
  const all = await readdir(cacheOf(medium), { recursive: true, withFileTypes: true }).catch(() => []);
  return all
    .filter((e) => e.isFile())
    .map((e) => join(e.parentPath, e.name).slice(cacheOf(medium).length + 1));
}

/** Every piece that an entry needs is there. */
async function requireWhole(medium: string): Promise<Map<string, readonly string[]>> {
  const there = new Set(await filesOn(medium));
  const needs = await needsOn(medium);
  for (const [entry, names] of needs)
    assert.deepEqual(
      names.filter((name) => !there.has(name)),
      [],
      `${entry} lacks what it needs`,
    );
  return needs;
}

async function requireGood(medium: string, names: readonly string[]): Promise<void> {
  for (const name of names.filter((n) => n.startsWith('nar/'))) {
    const bytes = await readFile(join(cacheOf(medium), name));
    assert.ok(name.includes(nix32Of(bytes)), `${name} is damaged`);
  }
}

const host = fc.constantFrom('a', 'b', 'c', 'd');
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      put: fc.uniqueArray(host, { minLength: 1, maxLength: 2 }),
      keep: fc.integer({ min: 1, max: 2 }),
      clear: fc.boolean(),
      /** The flush that fails, as of a medium that is pulled out. */
      failing: fc.option(fc.integer({ min: 1, max: 7 }), { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ damage: fc.nat(40) }) },
  { weight: 1, arbitrary: fc.record({ leave: fc.constantFrom('x', 'y') }) },
  { weight: 1, arbitrary: fc.constant({ clearAll: true as const }) },
);

const pulledOut = (failing: number | undefined): ProcessRunner => {
  let flushes = 0;
  return async (program) => {
    if (program === 'sync') flushes += 1;
    const fails = program === 'sync' && flushes === failing;
    const stderrTail = fails ? ['Input/output error'] : [];
    return { exitCode: fails ? 1 : 0, stdout: '', stderrTail, timedOut: false, startError: undefined };
  };
};

test('whatever is put, cut off, damaged or cleared away: what an entry needs is there, and of a host that was put it is good', async (t) => {
  const root = await temporaryFolder(t);
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 8 }),
      fc.infiniteStream(fc.uniqueArray(fc.nat(5), { minLength: 3, maxLength: 3 })),
      async (steps, choices) => {
        runs += 1;
        const folder = join(root, String(runs));
        const { medium, bundle } = await desk(folder);
        const next = new Map<string, number>();
        for (const each of steps) {
          if ('put' in each) {
            const bundles: string[] = [];
            for (const name of each.put) {
              const sequence = (next.get(name) ?? 0) + 1;
              next.set(name, sequence);
              bundles.push(await bundle(name, sequence, choices.next().value));
            }
            const { keep, clear, failing } = each;
            const done = await putBundles(
              { medium, bundles, keep, clear },
              () => undefined,
              pulledOut(failing),
            ).catch((error: unknown) => {
              if (error instanceof NixmakerError && error.code === 'medium-failing') return undefined;
              throw error;
            });
            const needs = await requireWhole(medium);
            if (done === undefined) continue;
            for (const name of each.put)
              await requireGood(medium, needs.get(`${name}/${next.get(name) ?? 0}`) ?? []);
          } else if ('damage' in each) {
            const files = (await filesOn(medium)).filter((name) => name.endsWith('.zst'));
            const name = files[each.damage % Math.max(1, files.length)];
            if (name === undefined) continue;
            const path = join(cacheOf(medium), name);
            await writeFile(path, Buffer.alloc((await readFile(path)).length));
          } else if ('leave' in each) {
            // What a run that was cut off long ago has left, and nobody needs.
            const digest = nix32Of(Buffer.from(each.leave));
            const path = join(cacheOf(medium), 'nar', digest.slice(0, 2), `${digest}.nar.zst`);
            await mkdir(join(path, '..'), { recursive: true });
            await writeFile(path, each.leave);
          } else {
            await putBundles({ medium, bundles: [], keep: 1, clear: true }, undefined, pulledOut(undefined));
            const needed = new Set([...(await requireWhole(medium)).values()].flat());
            assert.deepEqual(
              (await filesOn(medium)).filter((name) => !needed.has(name)),
              [],
              'what nobody needs is gone',
            );
          }
        }
        await rm(folder, { recursive: true });
      },
    ),
    { numRuns: 30 },
  );
});

/** Many hosts, and what would be noticed if anything of theirs was read. */
async function manyHosts(t: TestContext) {
  const folder = await temporaryFolder(t);
  const { medium, bundle } = await desk(folder);
  const names = Array.from({ length: 25 }, (_, i) => `h${i}`);
  const bundles = await Promise.all(names.map((name) => bundle(name, 1, [0, 1, 2])));
  await putBundles({ medium, bundles, keep: 1 }, undefined, pulledOut(undefined));
  const manifests = names.map((name) => join(hostsOf(medium), name, '1', 'manifest.json'));
  const good = await Promise.all(manifests.map((path) => readFile(path)));
  return {
    medium,
    bundle,
    spoil: () => Promise.all(manifests.map((path) => writeFile(path, 'x'))),
    mend: () => Promise.all(manifests.map((path, i) => writeFile(path, good[i] as Buffer))),
  };
}

const narsOn = async (medium: string) => (await filesOn(medium)).filter((n) => n.startsWith('nar/')).length;

test('beside many hosts nothing of theirs is read, and nothing is cleared away until that is asked for', async (t) => {
  const { medium, bundle, spoil, mend } = await manyHosts(t);
  await putBundles({ medium, bundles: [await bundle('web', 1, [2, 3, 4])], keep: 1 });
  await spoil();
  const result = await putBundles({ medium, bundles: [await bundle('web', 2, [3, 4, 5])], keep: 1 });
  assert.deepEqual([result.pruned, result.collected], [1, 0]);
  assert.deepEqual(result.notices, [
    `Files that only older sequences needed were kept, because finding them means reading 26 hosts. To delete them: nixmaker put --clear ${medium}`,
  ]);
  assert.equal(await narsOn(medium), 6);
  await mend();
  const cleared = await putBundles({ medium, bundles: [], keep: 1, clear: true });
  // The first web’s index and what was signed of it; its pieces are others’ as well.
  assert.deepEqual([cleared.hosts, cleared.pruned, cleared.collected], [[], 0, 2]);
  assert.equal(await narsOn(medium), 6);
  await requireWhole(medium);
});

test('where one of many can’t be read, --clear deletes nothing and says so', async (t) => {
  const { medium, bundle, spoil } = await manyHosts(t);
  await putBundles({ medium, bundles: [await bundle('web', 1, [3, 4, 5])], keep: 1 });
  await rm(join(hostsOf(medium), 'web'), { recursive: true });
  await spoil();
  const before = (await filesOn(medium)).sort();
  const { notices } = await putBundles({ medium, bundles: [], keep: 1, clear: true });
  assert.match(notices.join(), /^What h0, sequence 1, needs cannot be read, so no old files were deleted\.$/);
  assert.deepEqual((await filesOn(medium)).sort(), before);
});

test('a piece that others have left damaged is written again for the host that is put', async (t) => {
  const { medium, bundle } = await manyHosts(t);
  const digest = nix32Of(shared[0] as Buffer);
  const path = join(cacheOf(medium), 'nar', digest.slice(0, 2), `${digest}.nar.zst`);
  await writeFile(path, Buffer.alloc((shared[0] as Buffer).length));
  const { notices } = await putBundles({ medium, bundles: [await bundle('web', 1, [0, 3, 4])], keep: 1 });
  assert.match(notices.join(), /was damaged on the medium and has been rewritten/);
  assert.deepEqual(await readFile(path), shared[0]);
});

test('where there is no room otherwise, what nobody needs makes it, beside any number of hosts', async (t) => {
  const { medium, bundle } = await manyHosts(t);
  const spare = join(cacheOf(medium), 'nar', '00');
  await mkdir(spare, { recursive: true });
  const left = join(spare, `${'0'.repeat(52)}.nar.zst`);
  await writeFile(left, 'x');
  const found = await fs.statfs(medium);
  const isThere = (path: string) =>
    readFile(path).then(
      () => true,
      () => false,
    );
  const told = t.mock.method(fs, 'statfs', async () => ({
    ...found,
    bavail: (await isThere(left)) ? 1 : 1e6,
  }));
  syncBuiltinESMExports();
  t.after(() => {
    told.mock.restore();
    syncBuiltinESMExports();
  });
  const result = await putBundles({ medium, bundles: [await bundle('web', 1, [3, 4, 5])], keep: 1 });
  assert.deepEqual([result.hosts[0]?.status, result.collected, result.notices], ['written', 1, []]);
  assert.equal(await isThere(left), false);
});
