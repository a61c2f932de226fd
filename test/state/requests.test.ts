/** What an agent asks root for, and what comes with it: to root all in that folder is hostile. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFile,
  chown,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { limits } from '../../src/core/limits.ts';
import {
  type AttachmentKind,
  isAsked,
  keyringRequests,
  type Serving,
  serveRequests,
  vouchRequests,
  writeRequest,
} from '../../src/state/requests.ts';
import { temporaryFolder } from '../support/bundles.ts';

const transaction = '0123456789ab';
const request = { schema: 2, transaction } as const;
const manifest = Buffer.from('the manifest');
const attachments = { manifest, signatures: Buffer.from('signatures'), index: Buffer.alloc(5000, 'i') };

/** A runtime directory with one request, and where its files lie. */
async function asked(t: TestContext) {
  const runtime = await temporaryFolder(t);
  const folder = join(runtime, vouchRequests.folder);
  await mkdir(folder);
  await writeRequest(runtime, vouchRequests, request, attachments);
  return { runtime, folder, file: (kind: string) => join(folder, `${transaction}.${kind}`) };
}

/** Serves what is there. @returns how many names are gone, and what was rejected */
async function served(runtime: string, serve: (serving: Serving) => Promise<void> = async () => undefined) {
  const rejected: string[] = [];
  const stuck: string[] = [];
  const count = await serveRequests(runtime, vouchRequests, {
    serve: (given, serving) => {
      assert.deepEqual(given, request);
      return serve(serving);
    },
    reject: (name, reason) => rejected.push(`${name}: ${reason}`),
    stuck: (name) => stuck.push(name),
    passedOver: () => assert.fail('it is not many'),
  });
  assert.deepEqual(stuck, []);
  return { count, rejected };
}

/** What root reads of one attachment, or why it does not. */
async function readOf(runtime: string, kind: AttachmentKind, most = 10_000): Promise<Buffer | string> {
  let outcome: Buffer | string = 'it was not asked';
  await served(runtime, async ({ acknowledge, attached }) => {
    await acknowledge();
    outcome = await attached.read(kind, most).catch(String);
  });
  return outcome;
}

test('a request is served with what has come with it, and all of it is gone afterwards', async (t) => {
  const { runtime, folder, file } = await asked(t);
  for (const kind of ['manifest', 'signatures', 'index', 'json'])
    assert.equal((await stat(file(kind))).mode & 0o777, 0o600);
  const { count, rejected } = await served(runtime, async ({ acknowledge, attached }) => {
    await acknowledge();
    assert.ok(!(await readdir(folder)).some((name) => name.endsWith('.json')), 'it is never served twice');
    for (const [kind, bytes] of Object.entries(attachments))
      assert.deepEqual(await attached.read(kind as AttachmentKind, 5000), bytes);
  });
  assert.deepEqual([count, rejected, await readdir(folder)], [1, [], []]);
  assert.equal((await served(runtime)).count, 0);
});

test('what an earlier request has left goes with the next one, the request as well: without the rest it would be refused', async (t) => {
  const { runtime, folder } = await asked(t);
  await writeRequest(runtime, vouchRequests, { ...request, transaction: 'ba9876543210' }, { manifest });
  assert.deepEqual((await readdir(folder)).sort(), ['ba9876543210.json', 'ba9876543210.manifest']);
});

for (const [what, spoil, says] of [
  ['a link', (path: string, to: string) => symlink(to, path), /it is a symbolic link/],
  ['another name of a file', (path: string, to: string) => link(to, path), /it does not belong to the agent/],
  ['a pipe', async (path: string) => void execFileSync('mkfifo', [path]), /it is not a regular file/],
  ['a folder', (path: string) => mkdir(path), /it is not a regular file/],
  [
    'somebody else’s',
    async (path: string) => {
      await writeFile(path, 'genuine');
      await chown(path, 12345, 12345);
    },
    /it does not belong to the agent/,
  ],
  [
    'larger than is read',
    (path: string) => writeFile(path, Buffer.alloc(10_001)),
    /it has 10001 bytes; the limit is 10000/,
  ],
  [
    'so large that memory would not hold it',
    async (path: string) => {
      await writeFile(path, '');
      await truncate(path, 2 ** 42);
    },
    /it has 4398046511104 bytes; the limit is/,
  ],
  ['missing', async () => undefined, /ENOENT/],
] as const)
  test(`an attachment that is ${what} is refused in words, and is gone afterwards`, async (t) => {
    const { runtime, folder, file } = await asked(t);
    const elsewhere = join(runtime, 'elsewhere');
    await writeFile(elsewhere, 'not for anybody');
    execFileSync('rm', [file('index')]);
    await spoil(file('index'), elsewhere);
    const outcome = await readOf(runtime, 'index');
    assert.match(String(outcome), /^NixmakerError: bundle-malformed: the request’s index: /);
    assert.match(String(outcome), says);
    assert.deepEqual(await readdir(folder), []);
    assert.equal(await readFile(elsewhere, 'utf8'), 'not for anybody', 'and nothing else is');
  });

/** Has something happen right after root has looked how large the index is: its first look is at what kind of thing it is. */
async function onceLookedAt(t: TestContext, path: string, happens: () => Promise<void>): Promise<void> {
  const handle = await open(path);
  const prototype = Object.getPrototypeOf(handle) as typeof handle;
  await handle.close();
  const { stat: look } = prototype;
  let looks = 0;
  t.mock.method(prototype, 'stat', async function (this: typeof handle) {
    const found = await look.call(this);
    if (found?.size === attachments.index.length) looks += 1;
    if (looks === 2) await happens();
    return found;
  });
}

test('of an attachment that grows while it is read, no more is read than it had', async (t) => {
  const { runtime, file } = await asked(t);
  await onceLookedAt(t, file('index'), () => appendFile(file('index'), Buffer.alloc(100_000, 'x')));
  const read = await readOf(runtime, 'index', 5000);
  assert.ok(attachments.index.equals(read as Buffer), String(read).slice(0, 100));
});

test('of one that shrinks meanwhile, nothing is made up', async (t) => {
  const { runtime, file } = await asked(t);
  await onceLookedAt(t, file('index'), () => truncate(file('index'), 100));
  assert.equal((await readOf(runtime, 'index')).length, 100);
});

test('each reading is of what is there then: it is the bytes in hand whose digest has to fit', async (t) => {
  const { runtime, file } = await asked(t);
  await served(runtime, async ({ acknowledge, attached }) => {
    await acknowledge();
    assert.deepEqual(await attached.read('manifest', 100), manifest);
    await writeFile(file('manifest'), 'another');
    assert.equal((await attached.read('manifest', 100)).toString(), 'another');
  });
});

for (const [what, spoil, says] of [
  ['no request', (path: string) => writeFile(path, '{}'), /it is not a request/],
  [
    'of another schema',
    (path: string) => writeFile(path, JSON.stringify({ ...request, schema: 1 })),
    /it is not a request/,
  ],
  ['no JSON', (path: string) => writeFile(path, '{'), /JSON/],
  ['too large', (path: string) => truncate(path, limits.requestBytes + 1), /the limit is/],
  ['somebody else’s', (path: string) => chown(path, 12345, 12345), /not belong to the agent/],
  ['another name of a file as well', (path: string) => link(path, `${path}.too`), /not belong to the agent/],
] as const)
  test(`a request that is ${what} is rejected, and what has come with it goes, too`, async (t) => {
    const { runtime, folder, file } = await asked(t);
    await spoil(file('json'));
    const { count, rejected } = await served(runtime, () => assert.fail('it was served'));
    assert.deepEqual([count, rejected.length], [1, 1]);
    assert.match(rejected[0] ?? '', says);
    assert.deepEqual(
      (await readdir(folder)).filter((name) => !name.endsWith('.too')),
      [],
    );
  });

test('what can’t be removed is put where no glob finds it, whatever its name, and goes with the agent’s next request', async (t) => {
  const { runtime, folder } = await asked(t);
  const names = ['full.json', 'a\nb.json', '\u202e.json'].map((name) => Buffer.from(name));
  const places = [...names, Buffer.from([0xff, ...Buffer.from('.json')])].map((name) =>
    Buffer.concat([Buffer.from(`${folder}/`), name]),
  );
  for (const place of places) {
    await mkdir(place);
    await writeFile(Buffer.concat([place, Buffer.from('/file')]), 'kept');
  }
  const { count, rejected } = await served(runtime, ({ acknowledge }) => acknowledge());
  assert.deepEqual([count, rejected.length], [5, 4]);
  const left = await readdir(folder);
  assert.ok(left.length === 4 && left.every((name) => name.startsWith('.put-aside-')), left.join(' '));
  await writeRequest(runtime, vouchRequests, request, attachments);
  assert.equal((await readdir(folder)).length, 4);
  assert.equal((await served(runtime, ({ acknowledge }) => acknowledge())).count, 1);
  assert.deepEqual(await readdir(folder), []);
});

test('more than is read at one time of what is no request keeps no request waiting', async (t) => {
  const { runtime, folder } = await asked(t);
  for (let n = 0; n < 40; n++) await mkdir(join(folder, `0-${n}.json/full`), { recursive: true });
  let isServed = false;
  const serve = async ({ acknowledge }: Serving) => {
    isServed = true;
    await acknowledge();
  };
  for (let count = 1; count > 0; ) ({ count } = await served(runtime, serve));
  assert.ok(isServed);
});

test('the folder is the agent’s, so a link in its place leads nowhere, and holds nothing up', async (t) => {
  const runtime = await temporaryFolder(t);
  const elsewhere = join(runtime, 'elsewhere');
  await mkdir(elsewhere);
  await writeFile(join(elsewhere, `${transaction}.json`), JSON.stringify(request));
  await symlink(elsewhere, join(runtime, vouchRequests.folder));
  const { count, rejected } = await served(runtime, () => assert.fail('it was served'));
  assert.equal(count, 0);
  assert.match(rejected.join(), /^vouchers: it is not a folder/);
  assert.deepEqual(await readdir(elsewhere), [`${transaction}.json`]);
});

test('a fault of the disk is no folder that is missing: it is thrown', async (t) => {
  const fail = () => assert.fail();
  const server = { serve: async () => undefined, reject: fail, stuck: fail, passedOver: fail };
  const kind = { ...vouchRequests, folder: 'x'.repeat(300) };
  await assert.rejects(serveRequests(await temporaryFolder(t), kind, server), { code: 'ENAMETOOLONG' });
});

test('whether a request waits is seen from its name alone, and what is no folder asks for nothing', async (t) => {
  const runtime = await temporaryFolder(t);
  const kinds = [keyringRequests, vouchRequests];
  const folder = join(runtime, vouchRequests.folder);
  assert.equal(await isAsked(join(runtime, 'nowhere'), kinds), false);
  await writeFile(join(runtime, keyringRequests.folder), 'a file');
  await mkdir(folder);
  await writeFile(join(folder, `${transaction}.json.1234`), 'still being written');
  assert.equal(await isAsked(runtime, kinds), false);
  await symlink('/nowhere', join(folder, `${transaction}.json`));
  assert.equal(await isAsked(runtime, kinds), true);
  assert.equal(await isAsked(runtime, [keyringRequests]), false);
});
