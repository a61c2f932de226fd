import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  checkClassicHeaders,
  extractClassic,
  packClassic,
  readClassicMeta,
} from '../../src/bundle/classic.ts';
import type { CommandResult } from '../../src/core/ports.ts';
import { temporaryFolder } from '../support/bundles.ts';
import { hashOf } from '../support/manifests.ts';
import { storePathOf } from '../support/releases.ts';

const store = `nix/store/${hashOf('a')}-web`;

async function layOut(folder: string): Promise<void> {
  await mkdir(join(folder, store, 'bin'), { recursive: true });
  await mkdir(join(folder, 'nix/var/nix/db'), { recursive: true });
  await writeFile(join(folder, store, 'bin', 'tool'), 'x');
  await symlink('bin/tool', join(folder, store, 'link'));
  await writeFile(join(folder, 'nix/var/nix/db/db.sqlite'), 'x');
}

test('what `nix copy` leaves in a folder passes', async (t) => {
  const folder = await temporaryFolder(t);
  await layOut(folder);
  execFileSync('tar', ['-czf', join(folder, 'web.tar.gz'), '-C', folder, 'nix']);
  await checkClassicHeaders(join(folder, 'web.tar.gz'));
});

// Threat: Nix opens a chroot store read-write and follows links in nix/var: it has created files as root that way.
for (const [what, spoil] of [
  ['a link in place of the database', (f: string) => symlink('/etc', join(f, 'nix/var/nix/db2'))],
  ['a link in place of a store path’s parent', (f: string) => symlink('/etc', join(f, 'nix/store/links'))],
  ['a file that is in no store path', (f: string) => writeFile(join(f, 'nix/store/stray'), 'x')],
  ['a file beside the store', (f: string) => writeFile(join(f, 'nix/stray'), 'x')],
  ['a FIFO in a store path', async (f: string) => void execFileSync('mkfifo', [join(f, store, 'fifo')])],
] as const) {
  test(`${what} is refused`, async (t) => {
    const folder = await temporaryFolder(t);
    await layOut(folder);
    await spoil(folder);
    execFileSync('tar', ['-czf', join(folder, 'web.tar.gz'), '-C', folder, 'nix']);
    await assert.rejects(checkClassicHeaders(join(folder, 'web.tar.gz')), /bundle-malformed/);
  });
}

test('a way out of the folder, an absolute path and a foreign hard link are refused', async (t) => {
  const folder = await temporaryFolder(t);
  await layOut(folder);
  const pack = (name: string, ...args: string[]) => {
    execFileSync('tar', ['-P', '-czf', join(folder, name), '-C', folder, ...args]);
    return join(folder, name);
  };
  await writeFile(join(folder, 'outside'), 'x');
  const up = pack('up.tar.gz', '--transform', 's,^outside,nix/../../outside,', 'nix', 'outside');
  const absolute = pack('absolute.tar.gz', 'nix', join(folder, 'outside'));
  execFileSync('ln', [join(folder, 'outside'), join(folder, store, 'hard')]);
  const hard = pack('hard.tar.gz', 'outside', 'nix');
  for (const tarball of [up, absolute, hard])
    await assert.rejects(checkClassicHeaders(tarball), /bundle-malformed/);
});

test('what is no gzip, or cut off, or without a store is refused', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'text.tar.gz'), 'hello');
  await assert.rejects(checkClassicHeaders(join(folder, 'text.tar.gz')), /bundle-malformed/);
  await mkdir(join(folder, 'nix'));
  execFileSync('tar', ['-czf', join(folder, 'bare.tar.gz'), '-C', folder, 'nix']);
  await assert.rejects(checkClassicHeaders(join(folder, 'bare.tar.gz')), /no Nix store/);
});

const ended = (changes: Partial<CommandResult>) => async () => ({
  ...{ exitCode: 0, stdout: '', stderrTail: [], timedOut: false, startError: undefined },
  ...changes,
});

test('where tar fails it is told which way, with what tar has said', async (t) => {
  const folder = await temporaryFolder(t);
  const full = ended({ exitCode: 2, stderrTail: ['tar: x: No space left on device'] });
  await assert.rejects(extractClassic(full, 'x.tar.gz', join(folder, 'a')), { code: 'no-space' });
  const broken = ended({ exitCode: 2, stderrTail: [] });
  await assert.rejects(extractClassic(broken, 'x.tar.gz', join(folder, 'b')), {
    code: 'io-error',
    detail: 'cannot extract the tarball: tar exited with 2',
  });
  await extractClassic(ended({}), 'x.tar.gz', join(folder, 'c'));
  await packClassic(ended({}), folder, 'x.tar.gz');
  await assert.rejects(packClassic(broken, folder, 'x.tar.gz'), {
    code: 'io-error',
    detail: 'cannot write the tarball: tar exited with 2',
  });
});

test('the meta of a tarball is a derivation’s path and an output’s, and at most so long', async (t) => {
  const path = join(await temporaryFolder(t), 'meta');
  const [derivation, toplevel] = [storePathOf(1, 'x.drv'), storePathOf(2)];
  const malformed = { code: 'bundle-malformed' };
  await assert.rejects(readClassicMeta(path), malformed);
  for (const text of ['', `${derivation}\n`, `${toplevel}\n${derivation}\n`, `${derivation}\n/etc\n`]) {
    await writeFile(path, text);
    await assert.rejects(readClassicMeta(path), malformed, text);
  }
  await writeFile(path, `${derivation}\n${toplevel}\n`);
  assert.deepEqual(await readClassicMeta(path), { derivation, toplevel });
  await appendFile(path, 'x'.repeat(1024));
  await assert.rejects(readClassicMeta(path), malformed);
});
