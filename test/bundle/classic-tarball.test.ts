/** A classic tarball on its way into the store: copied, unpacked by the system’s tar, and asked what it is. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  checkClassicHeaders,
  extractClassic,
  readClassicHead,
  readClassicMeta,
  spoolTarball,
} from '../../src/bundle/classic.ts';
import { openBundleFile } from '../../src/bundle/file.ts';
import type { CommandResult } from '../../src/core/ports.ts';
import type { Manifest } from '../../src/core/release/manifest.ts';
import { runProgram } from '../../src/process/run.ts';
import { signedFileOfBytes, temporaryFolder } from '../support/bundles.ts';
import { hashOf, pathOf } from '../support/manifests.ts';

async function spooled(t: TestContext, bytes: Buffer, signed: { size: number; sha256: string } | undefined) {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'web.tar.gz'), bytes);
  const opened = await openBundleFile(join(folder, 'web.tar.gz'));
  let closed = 0;
  const close = async () => {
    closed += 1;
    await opened.close();
  };
  const file = { ...opened, close };
  const target = join(folder, 'copy');
  const spool = spoolTarball(file, { tarball: signed } as unknown as Manifest, target);
  return { target, spool, closed: () => closed };
}

test('it is copied whole, to where only we can read, and closed', async (t) => {
  const bytes = randomBytes(2 * 1024 * 1024 + 17);
  const { target, spool, closed } = await spooled(t, bytes, signedFileOfBytes(bytes));
  await spool;
  assert.ok((await readFile(target)).equals(bytes));
  assert.deepEqual([(await stat(target)).mode & 0o777, closed()], [0o600, 1]);
});

const some = randomBytes(1000);
const signed = signedFileOfBytes(some);
for (const [what, bytes, of, code, detail] of [
  ['shorter than was signed', some.subarray(1), signed, 'bundle-truncated', 'the file has 999 of 1000 bytes'],
  [
    'longer',
    Buffer.concat([some, some]),
    signed,
    'bundle-trailing-data',
    'the file has 2000 bytes, not 1000',
  ],
  ['another', randomBytes(1000), signed, 'bundle-altered', 'the tarball does not match what was signed'],
  ['not in the manifest', some, undefined, 'bundle-malformed', 'the manifest does not name a tarball'],
] as const)
  test(`one that is ${what} is refused, and closed`, async (t) => {
    const { spool, closed } = await spooled(t, bytes, of);
    await assert.rejects(spool, { code, detail });
    assert.equal(closed(), 1);
  });

test('nothing that lies there is written over', async (t) => {
  const { target, spool } = await spooled(t, some, signed);
  await spool;
  const file = await openBundleFile(target);
  await assert.rejects(spoolTarball(file, { tarball: signed } as unknown as Manifest, target), {
    code: 'EEXIST',
  });
});

const store = `nix/store/${hashOf('a')}-web`;

/** Packs what `lay` has laid out. */
async function packed(t: TestContext, lay: (folder: string) => Promise<unknown>, ...args: string[]) {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, store), { recursive: true });
  await lay(folder);
  const tarball = join(folder, 'web.tar.gz');
  const members = args.length === 0 ? ['nix'] : args;
  execFileSync('tar', ['-czf', tarball, '-C', folder, ...members], { stdio: 'pipe' });
  return { folder, tarball };
}

test('what a store may hold passes: links within a path, Nix’s own links, names that begin with a dot and a slash', async (t) => {
  const { tarball } = await packed(
    t,
    async (folder) => {
      await mkdir(join(folder, 'nix/store/.links'));
      await writeFile(join(folder, 'nix/store/.links/x'), 'x');
      await writeFile(join(folder, store, 'a'), 'x');
      await link(join(folder, store, 'a'), join(folder, store, 'b'));
      await symlink('a', join(folder, store, 'c'));
      await mkdir(join(folder, 'nix/var'));
      await writeFile(join(folder, 'nix/var/x'), 'x');
    },
    './nix',
  );
  await checkClassicHeaders(tarball);
});

for (const [what, says, lay] of [
  [
    'a link among Nix’s links',
    /must be a folder or a file/,
    (f: string) =>
      mkdir(join(f, 'nix/store/.links')).then(() => symlink('/etc', join(f, 'nix/store/.links/x'))),
  ],
  [
    'a link in nix/var',
    /nix\/var\/x: must be a folder or a file/,
    (f: string) => mkdir(join(f, 'nix/var')).then(() => symlink('/etc', join(f, 'nix/var/x'))),
  ],
  [
    'a link instead of nix/var',
    /nix\/var: must be a folder/,
    (f: string) => symlink('/etc', join(f, 'nix/var')),
  ],
  [
    'a file instead of nix/var',
    /nix\/var: must be a folder/,
    (f: string) => writeFile(join(f, 'nix/var'), ''),
  ],
  [
    'something else beside the store',
    /is not part of a Nix store/,
    (f: string) => writeFile(join(f, 'nix/x'), ''),
  ],
  [
    'a pipe',
    /has a type that is not allowed in a Nix store \(FIFO\)/,
    async (f: string) => execFileSync('mkfifo', [join(f, store, 'p')]),
  ],
] as const)
  test(`${what} is refused by its name`, async (t) => {
    const { tarball } = await packed(t, lay);
    await assert.rejects(checkClassicHeaders(tarball), { code: 'bundle-malformed', detail: says });
  });

test('a hard link to what has not been seen is refused; a store without its own folder is none', async (t) => {
  const { tarball } = await packed(
    t,
    async (folder) => {
      await writeFile(join(folder, 'outside'), 'x');
      await link(join(folder, 'outside'), join(folder, store, 'hard'));
    },
    'outside',
    'nix',
    '--transform=s,^outside$,nix/var/outside,',
  );
  // The name in the link is transformed as well, and was seen: it is within.
  await checkClassicHeaders(tarball);
  const bare = await packed(t, (folder) => mkdir(join(folder, 'nix/var')), 'nix/var');
  await assert.rejects(checkClassicHeaders(bare.tarball), { detail: 'the tarball contains no Nix store' });
});

test('a tarball that is cut off can’t be read', async (t) => {
  const { tarball } = await packed(t, (folder) => writeFile(join(folder, store, 'a'), randomBytes(50_000)));
  await truncate(tarball, 30_000);
  await assert.rejects(checkClassicHeaders(tarball), {
    code: 'bundle-malformed',
    detail: /^cannot read the tarball: /,
  });
});

test('it is unpacked into a folder of our own, once', async (t) => {
  const { folder, tarball } = await packed(t, (f) => writeFile(join(f, store, 'a'), 'text'));
  const to = join(folder, 'out');
  await extractClassic(runProgram, tarball, to);
  assert.equal(await readFile(join(to, store, 'a'), 'utf8'), 'text');
  assert.equal((await stat(to)).mode & 0o777, 0o700);
  await assert.rejects(extractClassic(runProgram, tarball, to), { code: 'EEXIST' });
});

for (const [what, result, code, detail] of [
  ['no room', { exitCode: 2, stderrTail: ['tar: x: No space left on device'] }, 'no-space', /No space left/],
  [
    'another fault',
    { exitCode: 2, stderrTail: ['tar: x: broken'] },
    'io-error',
    /cannot extract the tarball: tar: x: broken/,
  ],
  ['silence', { exitCode: 3 }, 'io-error', /tar exited with 3/],
] as const)
  test(`tar with ${what} is “${code}”`, async (t) => {
    const well = { exitCode: 0, stdout: '', stderrTail: [], timedOut: false, startError: undefined };
    const run = async (): Promise<CommandResult> => ({ ...well, ...result });
    await assert.rejects(extractClassic(run, 'x', join(await temporaryFolder(t), 'out')), { code, detail });
  });

test('its two lines say what is to be realised', async (t) => {
  const path = join(await temporaryFolder(t), 'meta');
  const [derivation, toplevel] = [pathOf('a', 'x.drv'), pathOf('b', 'x')];
  await writeFile(path, `${derivation}\n${toplevel}\n`);
  assert.deepEqual(await readClassicMeta(path), { derivation, toplevel });
  for (const text of [`${toplevel}\n${toplevel}\n`, `${derivation}\nx\n`, '', `${derivation}`]) {
    await writeFile(path, text);
    await assert.rejects(readClassicMeta(path), {
      code: 'bundle-malformed',
      detail: /does not hold a derivation path/,
    });
  }
  await writeFile(path, 'x'.repeat(100_000));
  await assert.rejects(readClassicMeta(path), { code: 'bundle-malformed', detail: /cannot read/ });
  await assert.rejects(readClassicMeta(`${path}.none`), {
    code: 'bundle-malformed',
    detail: /cannot read/,
  });
});

test('manifest and signature lie beside it, or it is not there yet', async (t) => {
  const folder = await temporaryFolder(t);
  const tarball = join(folder, 'web.tar.gz');
  assert.equal(await readClassicHead(tarball), undefined);
  await writeFile(join(folder, 'manifest.json'), 'm');
  assert.equal(await readClassicHead(tarball), undefined);
  await writeFile(join(folder, 'manifest.sig'), 's');
  const head = await readClassicHead(tarball);
  assert.deepEqual([head?.manifestBytes.toString(), head?.signatureBytes.toString()], ['m', 's']);
});
