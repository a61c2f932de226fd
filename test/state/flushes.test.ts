/**
 * Every write that is to outlast a power cut, watched by strace(1): the file is flushed, then gets its name, then the folder that lists
 * it is flushed, and only then does the call return. No machine need be cut off for it.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readImportGraph, resolved } from '../project/imports.ts';
import { temporaryFolder } from '../support/bundles.ts';
import { flushesOf, judge, markOf } from '../support/flushes.ts';
import { requireStrace } from '../support/strace.ts';

const program = new URL('../support/durable-writes.ts', import.meta.url).pathname;

/** What is there after each of them. */
const left: Readonly<Record<string, readonly string[]>> = {
  'a file, and three folders above it': ['one/two/three/file'],
  'the same file again': ['one/two/three/file'],
  'the first line of a journal': ['state/journal'],
  'the next line': ['state/journal'],
  'a journal written anew': ['large/journal'],
  'the floor': ['state/floor.a', 'state/floor.b'],
  'which releases are held': ['state/held.a', 'state/held.b'],
  'the signed time': ['state/floor.a', 'state/floor.b'],
  'a keyring': ['state/keyring.a', 'state/keyring.b'],
  'a receipt': ['state/receipts/0123456789ab.json'],
  'a receipt for the desk': ['state/outbox/5.json'],
  'which runs have had theirs': ['state/receipts-told'],
  'receipts on a medium': ['medium/nixmaker/receipts/web/5.json'],
  'a request and what comes with it': ['index', 'json', 'manifest', 'signatures'].map(
    (kind) => `run/requests/0123456789ab.${kind}`,
  ),
  'a voucher': ['state/vouchers/0123456789ab.json', 'state/vouchers/0123456789ab.sig'],
  'the signed parts of a release': ['index', 'manifest.json', 'manifest.sig'].map(
    (name) => `state/releases/${'e'.repeat(64)}/${name}`,
  ),
  'what was freed for a release': ['state/rooms/0123456789ab.json'],
  'which parts have come': ['state/parts.json'],
  'what was freed after a commit': ['state/tidied.json'],
  'what is damaged in the store': ['state/contents.json'],
  'what was repaired for the agent': ['state/repairs/0123456789ab.json'],
  'a release that waits for its time': ['index', 'manifest', 'record.json', 'signatures'].map(
    (name) => `state/staged/${'d'.repeat(64)}/${name}`,
  ),
  'what it waits for': [`state/staged/${'d'.repeat(64)}/record.json`],
  'which hook followed a commit': ['state/after-hook.json'],
  'what work was cut off': ['state/cut-off'],
  'a request that failed': ['state/requests-unverified'],
  'the key of the host': ['state/host.public', 'state/host.secret'],
  'the key for paths': ['state/store-key.conf', 'state/store.secret'],
  'the key that bundles are encrypted to': ['age/identity'],
  'a bundle': ['web.tar'],
  'an encrypted bundle': ['web.tar.age'],
  'a key that signs': ['keys/fleet-1.public', 'keys/fleet-1.secret'],
};

test('file, then folder, before return: every write that is to last', async (t) => {
  await requireStrace();
  const outer = await realpath(await temporaryFolder(t));
  const folder = join(outer, 'written');
  await mkdir(folder);
  const writes = await flushesOf([process.execPath, program, folder], folder, join(outer, 'strace'));
  assert.deepEqual(
    writes.map(({ name, files, faults }) => ({ name, files, faults })),
    Object.entries(left).map(([name, files]) => ({ name, files, faults: [] })),
  );
});

test('what the checker takes for durable is so, and nothing less', () => {
  const mark = (name: string) => `lstat("${markOf(name)}") = -1 ENOENT (No such file or directory)`;
  const statx = (name: string) =>
    `statx(AT_FDCWD, "${markOf(name)}", 0) = -1 ENOENT (No such file or directory)`;
  const after = (...calls: readonly string[]) => judge([statx('x'), ...calls, mark('y')], '/f')[0];
  const create = 'openat(AT_FDCWD</>, "/f/.a.part", O_WRONLY|O_CREAT|O_EXCL, 0644) = 17</f/.a.part>';
  const write = 'write(17</f/.a.part>, "x", 1) = 1';
  const flush = 'fsync(17</f/.a.part>) = 0';
  const rename = 'rename("/f/.a.part", "/f/a") = 0';
  const folder = 'fsync(18</f>) = 0';
  assert.deepEqual(after(create, write, flush, rename, folder), { name: 'x', files: ['a'], faults: [] });
  const faults = (...calls: readonly string[]) => after(...calls)?.faults;
  assert.deepEqual(faults(create, write, flush, rename), ['a: its folder was not flushed at the end']);
  assert.deepEqual(faults(create, write, flush, folder, rename), [
    'a: its folder was not flushed at the end',
  ]);
  assert.deepEqual(faults(create, write, rename, folder), ['a: it got its name before it was flushed']);
  assert.deepEqual(faults(create, flush, write, rename, folder), [
    'a: it got its name before it was flushed',
  ]);
  assert.deepEqual(
    faults(create, write, flush.replace('= 0', '= -1 EIO (Input/output error)'), rename, folder),
    ['a: it got its name before it was flushed'],
  );
  const own = create.replaceAll('.a.part', 'a');
  const ownWrite = write.replace('.a.part', 'a');
  assert.deepEqual(faults(own, ownWrite, folder), [
    'a: its folder was flushed before it was',
    'a: not flushed at the end',
  ]);
  const other = own.replaceAll('/f/a', '/f/b');
  assert.deepEqual(faults(create, other, write, flush, rename, folder), [
    'a: the next file was begun before it was there',
  ]);
  const made = 'mkdir("/proc/self/fd/18/b", 0755) = 0';
  const open = 'openat(AT_FDCWD</>, "/f", O_RDONLY) = 18</f>';
  assert.deepEqual(faults(open, made), ['b: its folder was not flushed at the end']);
  assert.deepEqual(faults(open, made, folder), []);
});

/** Files that flush and that the program does not call by themselves, with the reason. */
const otherwise: Readonly<Record<string, string>> = {
  'src/state/two-copies.ts': 'by floor and keyring',
  'src/state/answers.ts': 'by rooms, repairs and vouchers',
  'src/bundle/write.ts': 'by the bundle',
  'src/files/folder.ts': 'by all of them',
  'src/files/write.ts': 'by journal, medium and bundle',
  'src/target/activate/leave.ts': 'links only; test/target/makes-room.test.ts kills it at each step',
  'src/target/fetch/fetch.ts': 'keyrings from a server: one that is lost is fetched again',
  'src/target/fetch/send-receipts.ts': 'what a server has: if that is lost, it is sent once more',
  'src/target/install/keys.ts': 'test/target/install/cut-off.test.ts cuts a first install at each step',
  'src/target/install/steps.ts': 'test/target/install/cut-off.test.ts cuts a first install at each step',
  'src/target/root/drop-lost.ts':
    'after which start the store was looked through: if that is lost, it is once more',
  'src/target/service/metrics.ts': 'written anew within seconds; nothing is lost with it',
};

test('every file of a target that flushes what it writes is watched here', () => {
  const checkout = new URL('../..', import.meta.url).pathname;
  const watched = resolved('test/support/durable-writes.ts', readFileSync(program, 'utf8')).files;
  const flushing = [...readImportGraph(checkout, 'src').keys()].filter(
    (file) =>
      /^src\/(state|target|media|files|bundle)\//.test(file) &&
      /\b(writeDurably|writeAtomically|writeWhole|syncFolder|(data)?sync)\(/.test(
        readFileSync(join(checkout, file), 'utf8'),
      ),
  );
  assert.ok(flushing.length > 10);
  assert.deepEqual(
    flushing.filter((file) => !watched.includes(file) && otherwise[file] === undefined),
    [],
  );
  assert.deepEqual(
    Object.keys(otherwise).filter((file) => !flushing.includes(file)),
    [],
  );
});
