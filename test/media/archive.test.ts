/** What somebody sees who waits for a report. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { archive } from '../../src/media/archive.ts';
import { temporaryFolder } from '../support/bundles.ts';

const isStillIt = async () => true;

test('a report that is there is whole, whenever one looks', async (t) => {
  const inbox = await temporaryFolder(t);
  const done = join(inbox, 'done');
  await mkdir(done);
  const report = `DONE\n${'all is well\n'.repeat(200)}`;
  const seen = new Set<number>();
  const lookAt = (path: string) => {
    try {
      seen.add(readFileSync(path).length);
    } catch (error) {
      // Those that are no longer kept may go in just this moment.
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOENT');
    }
  };
  const watcher = watch(done, { persistent: false }, () => {
    for (const name of readdirSync(done)) if (name.endsWith('.txt')) lookAt(join(done, name));
  });
  for (let i = 0; i < 200; i++) {
    const path = join(inbox, `${i}.tar`);
    await writeFile(path, '');
    await archive({ path, format: 'bundle' } as Parameters<typeof archive>[0], {
      inbox,
      folder: 'done',
      report,
      keep: 3,
      isStillIt,
    });
  }
  watcher.close();
  assert.deepEqual([...seen], [report.length]);
  assert.deepEqual(
    (await readdir(done)).sort(),
    ['197', '198', '199'].flatMap((n) => [`${n}.tar`, `${n}.tar.txt`]),
  );
});

test('with the clock set back the newest is still the newest: what was just archived stays', async (t) => {
  const inbox = await temporaryFolder(t);
  const keep = async (name: string) => {
    await writeFile(join(inbox, `${name}.tar`), '');
    await archive({ path: join(inbox, `${name}.tar`), format: 'bundle' } as Parameters<typeof archive>[0], {
      ...{ inbox, folder: 'done', report: name, keep: 2, isStillIt },
    });
    return (await readdir(join(inbox, 'done'))).filter((n) => !n.endsWith('.txt')).sort();
  };
  await keep('1');
  // Of a time when the clock was a century ahead.
  const ahead = new Date('2126-01-01T00:00:00Z');
  await utimes(join(inbox, 'done', '1.tar.txt'), ahead, ahead);
  assert.deepEqual(await keep('2'), ['1.tar', '2.tar']);
  assert.deepEqual(await keep('3'), ['2.tar', '3.tar']);
  assert.deepEqual(await keep('4'), ['3.tar', '4.tar']);
});

test('a name keeps its end as it was written, and a second of that name is told apart before it', async (t) => {
  const inbox = await temporaryFolder(t);
  for (const name of ['FIRST.TAR', 'FIRST.TAR', 'Web.Tar.Age']) {
    const path = join(inbox, name);
    await writeFile(path, '');
    await archive({ path, format: 'bundle' } as Parameters<typeof archive>[0], {
      ...{ inbox, folder: 'done', keep: 9, isStillIt },
      report: 'DONE' as unknown as Parameters<typeof archive>[1]['report'],
    });
  }
  assert.deepEqual((await readdir(join(inbox, 'done'))).filter((name) => !name.endsWith('.txt')).sort(), [
    'FIRST.2.TAR',
    'FIRST.TAR',
    'Web.Tar.Age',
  ]);
});

for (const [when, isSeen] of [
  ['before', true],
  ['after', false],
] as const)
  test(`another that took its place ${when} the last look stays where it is, without a report`, async (t) => {
    const inbox = await temporaryFolder(t);
    const path = join(inbox, 'web.tar');
    await writeFile(path, 'judged');
    await writeFile(join(inbox, '.web.tar'), 'newer');
    const archived = await archive({ path, format: 'bundle' } as Parameters<typeof archive>[0], {
      ...{ inbox, folder: 'done', report: 'DONE', keep: 9 },
      isStillIt: async () => {
        await rename(join(inbox, '.web.tar'), path);
        return !isSeen;
      },
    });
    assert.equal(archived, undefined);
    assert.equal(await readFile(path, 'utf8'), 'newer');
    assert.deepEqual(await readdir(inbox, { recursive: true }), isSeen ? ['web.tar'] : ['done', 'web.tar']);
  });

test('a classic pair that took another’s place stays whole', async (t) => {
  const inbox = await temporaryFolder(t);
  const path = join(inbox, 'web.tar.gz');
  for (const name of ['web.tar.gz', 'manifest.json', 'manifest.sig', 'meta'])
    await writeFile(join(inbox, name), 'x');
  const candidate = { path, format: 'classic' } as const;
  const archived = await archive(candidate, {
    ...{ inbox, folder: 'done', report: 'DONE', keep: 9 },
    isStillIt: async () => {
      await writeFile(path, 'newer');
      return true;
    },
  });
  assert.equal(archived, undefined);
  assert.deepEqual((await readdir(inbox)).sort(), [
    'done',
    'manifest.json',
    'manifest.sig',
    'meta',
    'web.tar.gz',
  ]);
  assert.deepEqual(await readdir(join(inbox, 'done')), []);
});

test('a classic pair of which a file goes in the middle stays together where it was', async (t) => {
  const inbox = await temporaryFolder(t);
  const path = join(inbox, 'web.tar.gz');
  for (const name of ['web.tar.gz', 'manifest.json', 'meta']) await writeFile(join(inbox, name), 'x');
  const archiving = archive({ path, format: 'classic' } as const, {
    ...{ inbox, folder: 'done', report: 'DONE', keep: 9 },
    isStillIt: async () => {
      await rm(path);
      return true;
    },
  });
  await assert.rejects(archiving, { code: 'ENOENT' });
  assert.deepEqual((await readdir(inbox)).sort(), ['done', 'manifest.json', 'meta']);
  assert.deepEqual(await readdir(join(inbox, 'done')), []);
});

test('what was moved too late does not take the place of what is newer still', async (t) => {
  const inbox = await temporaryFolder(t);
  const path = join(inbox, 'web.tar');
  await writeFile(path, 'judged');
  const watcher = watch(inbox, { persistent: false }, () => {
    // As soon as the second has been moved away, the third is there.
    if (readdirSync(join(inbox, 'done')).includes('web.tar') && !existsSync(path))
      writeFileSync(path, 'third');
  });
  await mkdir(join(inbox, 'done'));
  await archive({ path, format: 'bundle' } as Parameters<typeof archive>[0], {
    ...{ inbox, folder: 'done', report: 'DONE', keep: 9 },
    isStillIt: async () => {
      await writeFile(path, 'second');
      await utimes(path, 1, 1);
      return true;
    },
  });
  watcher.close();
  assert.match(await readFile(path, 'utf8'), /^(?:second|third)$/);
  assert.deepEqual(await readdir(join(inbox, 'done')), []);
});
