/** `put`: what it writes, shares, heals, prunes, and never touches. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import fs, { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { cacheOf, hostsOf } from '../../src/bundle/pool.ts';
import type { ProcessRunner } from '../../src/core/ports.ts';
import { putBundles } from '../../src/desk/pool/put.ts';
import type { PutProgress } from '../../src/desk/pool/put-options.ts';
import { runProgram } from '../../src/process/run.ts';
import { entries, fails, indexes, nars, stickDesk } from '../support/stick.ts';

test('hosts are put side by side, older sequences and what they alone needed go', async (t) => {
  const { medium, bundle, put } = await stickDesk(t);
  await put([await bundle('web', 1), await bundle('mail', 5)]);
  assert.deepEqual(await entries(medium), ['mail/5', 'web/1']);
  assert.equal((await nars(medium)).length, 6);
  assert.equal((await indexes(medium)).length, 4, 'of each an index, and what a Nix key has signed of it');
  const result = await put([await bundle('web', 2)]);
  assert.equal(result.pruned, 1);
  assert.deepEqual(await entries(medium), ['mail/5', 'web/2']);
  assert.equal((await nars(medium)).length, 6, 'three of mail, three of the new web');
  assert.equal((await indexes(medium)).length, 4);
  await put([await bundle('web', 3)], { keep: 2 });
  assert.deepEqual(await entries(medium), ['mail/5', 'web/3', 'web/2']);
});

test('the same once more writes nothing, and an older one is left out', async (t) => {
  const { bundle, put } = await stickDesk(t);
  const second = await bundle('web', 2);
  await put([second]);
  const again = await put([second]);
  assert.deepEqual(again.hosts, [{ host: 'web', sequence: 2, status: 'there', files: 0, bytes: 0 }]);
  const older = await put([await bundle('web', 1)]);
  assert.equal(older.hosts[0]?.status, 'older');
});

test('put once more, an entry counts all the while, and what is missing of it is put right', async (t) => {
  const { medium, bundle, put } = await stickDesk(t);
  const second = await bundle('web', 2);
  await put([second]);
  const entry = join(hostsOf(medium), 'web', '2');
  const { ino } = await stat(entry);
  await writeFile(join(entry, 'meta'), 'damaged');
  await writeFile(join(entry, 'manifest.sig'), '');
  await put([second]);
  assert.equal((await stat(entry)).ino, ino, 'the folder was not replaced');
  assert.match(await readFile(join(entry, 'manifest.sig'), 'utf8'), /^test-1:/);
  assert.match(await readFile(join(entry, 'meta'), 'utf8'), /^\/nix\/store\//);
});

test('the same sequence with other contents is an alarm', async (t) => {
  const { bundle, put } = await stickDesk(t);
  await put([await bundle('web', 2)]);
  await assert.rejects(
    put([await bundle('web', 2, { manifest: { notes: 'other' } })]),
    fails('sequence-conflict'),
  );
});

test('what was damaged on the medium is written again', async (t) => {
  const { medium, bundle, put } = await stickDesk(t);
  const web = await bundle('web', 2);
  await put([web]);
  const [name = ''] = await nars(medium);
  const path = join(cacheOf(medium), 'nar', name);
  const good = await readFile(path);
  await writeFile(path, Buffer.alloc(good.length));
  const healed = await put([web]);
  assert.deepEqual(await readFile(path), good);
  assert.match(healed.notices.join(), /was damaged on the medium/);
  assert.equal(healed.hosts[0]?.status, 'written');
});

test('pulled out midway, every host before it is whole and the rest is not begun', async (t) => {
  const { medium, bundle, put } = await stickDesk(t);
  const bundles = [await bundle('a', 1), await bundle('b', 1), await bundle('c', 1)];
  let flushes = 0;
  // The second flush of b: its members are written, its manifest has no name yet.
  const run: ProcessRunner = async (program, args, options) => {
    if (program === 'sync') flushes += 1;
    if (flushes === 5)
      return {
        exitCode: 1,
        stdout: '',
        stderrTail: ['Input/output error'],
        timedOut: false,
        startError: undefined,
      };
    return runProgram(program, args, options);
  };
  await assert.rejects(put(bundles, { run }), {
    code: 'medium-failing',
    detail: `cannot flush ${medium}: Input/output error`,
  });
  assert.deepEqual(await entries(medium), ['a/1']);
  await put(bundles);
  assert.deepEqual(await entries(medium), ['a/1', 'b/1', 'c/1']);
  const left = (await readdir(join(hostsOf(medium), 'b'))).sort();
  assert.deepEqual(left, ['1', 'sequences'], 'nothing unfinished is left');
});

test('nobody else’s file is touched', async (t) => {
  const { medium, bundle, put } = await stickDesk(t);
  await put([await bundle('web', 1)]);
  const theirs = [
    'holiday.jpg',
    'nixmaker/notes.txt',
    'nixmaker/cache/README',
    'nixmaker/hosts/web/1/why.txt',
    'nixmaker/cache/nar/list',
  ];
  for (const path of theirs) await writeFile(join(medium, path), 'mine');
  await put([await bundle('web', 2)]);
  for (const path of theirs) assert.equal(await readFile(join(medium, path), 'utf8'), 'mine', path);
  assert.deepEqual(await entries(medium), ['web/2', 'web/1'], 'a folder with somebody’s file in it stays');
});

for (const [what, spoil] of [
  ['a manifest that can’t be read', (entry: string) => writeFile(join(entry, 'manifest.json'), 'x')],
  ['contents that can’t be read', (entry: string) => writeFile(join(entry, 'contents'), 'x')],
  ['no contents', (entry: string) => rm(join(entry, 'contents'))],
] as const)
  test(`with ${what} nothing old is deleted`, async (t) => {
    const { medium, bundle, put } = await stickDesk(t);
    await put([await bundle('web', 1), await bundle('mail', 1)]);
    await spoil(join(hostsOf(medium), 'mail', '1'));
    const result = await put([await bundle('web', 2)]);
    assert.match(result.notices.join(), /mail, sequence 1, needs cannot be read/);
    assert.equal((await nars(medium)).length, 9);
    assert.equal((await indexes(medium)).length, 6);
  });

test('unsigned bundles, no folder, and twins on FAT are refused', async (t) => {
  const { medium, bundle, put } = await stickDesk(t);
  const web = await bundle('web', 1);
  await assert.rejects(
    putBundles({ medium: join(medium, 'no'), bundles: [web], keep: 1 }),
    fails('no-medium'),
  );
  await put([web]);
  await assert.rejects(put([await bundle('Web', 1)]), fails('host-name-unusable'));
  const unsigned = Buffer.from(await readFile(web));
  const at = unsigned.indexOf('manifest.sig');
  unsigned.write('manifest.sog', at);
  await writeFile(`${web}.bad.tar`, unsigned);
  await assert.rejects(put([`${web}.bad.tar`]), fails('bundle-malformed'));
});

/** As on FAT: what statfs(2) says of the medium. */
async function withFileSystem(t: TestContext, medium: string, more: object, work: () => Promise<void>) {
  const found = await fs.statfs(medium);
  const told = t.mock.method(fs, 'statfs', async () => ({ ...found, ...more }));
  syncBuiltinESMExports();
  try {
    await work();
  } finally {
    told.mock.restore();
    syncBuiltinESMExports();
  }
}

test('a folder that FAT has no room for more names in is told before anything is written', async (t) => {
  const { medium, bundle, put } = await stickDesk(t);
  const web = await bundle('web', 1);
  const folder = join(cacheOf(medium), 'index');
  await mkdir(folder, { recursive: true });
  // Of 52 characters, as an index has: five entries each.
  const names = Array.from({ length: 13_100 }, (_, i) => `~${String(i).padStart(51, '0')}`);
  for (const name of names) writeFileSync(join(folder, name), '');
  await withFileSystem(t, medium, { type: 0x4d44 }, () =>
    assert.rejects(put([web]), {
      code: 'folder-full',
      detail: new RegExp(
        `^nixmaker/cache/index on ${medium} has 13100 names; .* limit of 65536 entries by 39`,
      ),
    }),
  );
  assert.deepEqual([await entries(medium), await nars(medium).catch(() => [])], [[], []]);
  assert.equal((await put([web])).hosts[0]?.status, 'written', 'other file systems have no such end');
  for (const name of names.slice(0, 20)) await rm(join(folder, name));
  await withFileSystem(t, medium, { type: 0x4d44 }, async () => {
    assert.equal((await put([await bundle('mail', 1)])).hosts[0]?.status, 'written');
  });
  rmSync(folder, { recursive: true });
});

test('where the kernel has no room for a name, and room for bytes, it is the folder', async (t) => {
  const { medium, bundle, put } = await stickDesk(t);
  const web = await bundle('web', 1);
  const full = t.mock.method(fs, 'rename', async (_: string, path: string) => {
    throw Object.assign(new Error('no room'), { code: 'ENOSPC', syscall: 'rename', path });
  });
  syncBuiltinESMExports();
  t.after(() => {
    full.mock.restore();
    syncBuiltinESMExports();
  });
  await withFileSystem(t, medium, { type: 0x4d44 }, () =>
    assert.rejects(put([web]), {
      code: 'folder-full',
      detail: `nixmaker/cache/index on ${medium} cannot hold more names`,
    }),
  );
  await assert.rejects(put([web]), { code: 'medium-full', detail: `${medium}: ENOSPC` });
});

test('a medium with too little room is told how much is needed, and nothing is written', async (t) => {
  const { medium, bundle, put } = await stickDesk(t);
  const web = await bundle('web', 1);
  await withFileSystem(t, medium, { bavail: 3, bsize: 4096 }, () =>
    assert.rejects(put([web]), {
      code: 'medium-full',
      detail: new RegExp(`^[\\d.]+ MiB needed on ${medium}; 12 KiB free$`),
    }),
  );
  assert.deepEqual([await entries(medium), await nars(medium).catch(() => [])], [[], []]);
  assert.equal((await put([web])).hosts[0]?.status, 'written');
});

test('an altered bundle does not get onto the medium', async (t) => {
  const { medium, bundle, put } = await stickDesk(t);
  const web = await bundle('web', 1);
  const bytes = await readFile(web);
  // Within the last NAR, whichever of the two it is.
  bytes[bytes.length - 1400] = (bytes.at(-1400) ?? 0) ^ 1;
  await writeFile(web, bytes);
  await assert.rejects(put([web]), fails('bundle-altered'));
  assert.deepEqual(await entries(medium), []);
});

test('progress counts every byte that is written and every byte that is read back, to the end', async (t) => {
  const { medium, bundle } = await stickDesk(t);
  const seen: PutProgress[] = [];
  await putBundles({ medium, bundles: [await bundle('web', 1)], keep: 1 }, (p) => seen.push(p));
  assert.deepEqual(new Set(seen.map((p) => p.phase)), new Set(['copying', 'flushing', 'reading back']));
  assert.equal(seen.at(-1)?.done, seen.at(-1)?.total);
  assert.ok(seen.every((p, i) => i === 0 || p.done >= (seen[i - 1]?.done ?? 0)));
});

test('where something else stands in the place of our folder, nothing is written', async (t) => {
  const { medium, bundle, put } = await stickDesk(t);
  await symlink('/proc/version', join(medium, 'nixmaker'));
  await assert.rejects(put([await bundle('web', 1)]), fails('medium-read-only'));
});

test('an entry that cannot be used takes nobody’s place: what was written stays', async (t) => {
  const { medium, bundle, put } = await stickDesk(t);
  await put([await bundle('web', 9)]);
  await writeFile(join(hostsOf(medium), 'web/9/manifest.json'), 'damaged');
  const { hosts, pruned } = await put([await bundle('web', 5)]);
  assert.deepEqual([hosts[0]?.status, pruned], ['written', 0]);
  assert.deepEqual(await entries(medium), ['web/9', 'web/5']);
  assert.equal((await put([await bundle('web', 6)])).pruned, 1);
  assert.deepEqual(await entries(medium), ['web/9', 'web/6']);
});

test('nothing is cleared away where a listing does not have all: too many names of any kind, or a link', async (t) => {
  const spare = (medium: string) => writeFile(join(cacheOf(medium), 'index', 'a'.repeat(52)), '');
  for (const [spoil, unknown] of [
    [
      async (hosts: string) => {
        for (let i = 0; i < 10_000; i++) mkdirSync(join(hosts, `empty-${i}`));
      },
      /^What more than 10000 hosts needs cannot be read/,
    ],
    [(hosts: string) => symlink('web', join(hosts, 'mail')), /^What mail needs cannot be read/],
    [(hosts: string) => symlink('2', join(hosts, 'web/1')), /^What web needs cannot be read/],
  ] as const) {
    const { medium, bundle, put } = await stickDesk(t);
    await put([await bundle('web', 2)]);
    await spoil(hostsOf(medium));
    await spare(medium);
    const notices = (await putBundles({ medium, bundles: [], keep: 1, clear: true })).notices;
    assert.match(notices[0] ?? '', unknown);
    assert.equal((await indexes(medium)).includes('a'.repeat(52)), true);
    rmSync(medium, { recursive: true });
  }
});
