/** Imports through a real nix-daemon's socket, as a client that it does not trust; and through what is none. */
import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { openBundleFile } from '../../src/bundle/file.ts';
import { NarReader } from '../../src/bundle/nar-reader.ts';
import { authenticateBundle, openBundle } from '../../src/bundle/open.ts';
import type { Piece } from '../../src/core/release/contents-file.ts';
import { addToDaemon, daemonSocketOf, type PathToAdd } from '../../src/nix/daemon.ts';
import { encodeNumber, protocolVersion } from '../../src/nix/daemon-wire.ts';
import { makeTrustSet, verifyManifest } from '../../src/signing/verify.ts';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const shop = await makeWorkshop();
const targets: Target[] = [];
after(() => Promise.all(targets.map((target) => target.close())));

async function freshTarget(keys: readonly string[] = [shop.keys.publicKey]) {
  const root = join(shop.folder, `t${targets.length}`);
  const target = await makeTarget(root, { host: 'web', trustedKeys: keys });
  targets.push(target);
  return { target, socket: join(root, 'nix/var/nix/daemon-socket/socket') };
}

const noBase = () => {
  throw new Error('nothing is restored here');
};

/** The paths of a real bundle, in order, as an import gives them. */
async function pathsOfBundle(t: TestContext): Promise<PathToAdd[]> {
  const path = await shop.bundle('one', { hosts: { web: plainHost('web', 'one') } });
  const file = await openBundleFile(path);
  t.after(() => file.close());
  const trust = makeTrustSet([shop.keys.publicKey], 1);
  const bundle = await openBundle(
    file,
    await authenticateBundle(file, (head) => verifyManifest(head.manifestBytes, head.signatureBytes, trust)),
  );
  const { index, nixSignatures, pieces, reader } = bundle;
  const nars = new NarReader(reader, noBase);
  return index.paths().map((name, line) => ({
    path: name,
    narSize: index.narSize(line),
    info: () => ({ ...index.info(line), signatures: nixSignatures.of(line) }),
    nar: () => nars.read(index.info(line), pieces.get(line)?.[0] as Piece),
  }));
}

const named = (paths: readonly PathToAdd[]) => paths.map(({ path }) => path as string).sort();

test('what is not valid yet becomes valid, with what the builder has; the second time nothing is sent', async (t) => {
  const { target, socket } = await freshTarget();
  const paths = await pathsOfBundle(t);
  assert.ok(paths.length >= 3);
  const seen: string[] = [];
  const { bytes, release } = await addToDaemon(
    { socket, paths },
    { onProgress: ({ done, expected }) => seen.push(`${done}/${expected}`) },
  );
  assert.equal(
    bytes,
    paths.reduce((sum, { narSize }) => sum + narSize, 0),
  );
  assert.deepEqual(
    seen,
    paths.map((_, i) => `${i + 1}/${paths.length}`),
  );
  assert.deepEqual(await target.validPaths(), named(paths));
  const verified = await target.run(['nix-store', '--verify', '--check-contents', '--store', 'daemon']);
  assert.equal(verified.code, 0, verified.stderr);
  // Nothing is rooted there: a collection takes all but what is held.
  const collect = () => target.run(['nix-store', '--gc', '--store', 'daemon']);
  assert.equal((await collect()).code, 0);
  assert.deepEqual(await target.validPaths(), named(paths));
  const again = await addToDaemon({ socket, paths });
  assert.equal(again.bytes, 0);
  release();
  assert.equal((await collect()).code, 0);
  assert.deepEqual(await target.validPaths(), named(paths), 'also what was there already is held');
  again.release();
  assert.ok(await gone(target, collect), 'and let go');
});

test('the daemon, not this client, decides whose signatures count', async (t) => {
  const { target, socket } = await freshTarget([]);
  const paths = await pathsOfBundle(t);
  await assert.rejects(addToDaemon({ socket, paths }), {
    code: 'nix-key-untrusted',
    detail: /lacks a signature by a trusted key$/,
  });
  assert.deepEqual(await target.validPaths(), []);
});

/** The daemon ends a connection’s process a moment after the connection. */
async function gone(target: Target, collect: () => Promise<unknown>): Promise<boolean> {
  for (let tries = 0; tries < 50; tries++) {
    await collect();
    if ((await target.validPaths()).length === 0) return true;
  }
  return false;
}

async function* chunksOf(nar: AsyncIterable<Buffer>, change: (bytes: Buffer) => Buffer) {
  const parts: Buffer[] = [];
  for await (const chunk of nar) parts.push(chunk);
  yield change(Buffer.concat(parts));
}

for (const [name, change, code] of [
  ['a byte short', (nar: Buffer) => nar.subarray(0, -1), 'bundle-malformed'],
  ['a byte too long', (nar: Buffer) => Buffer.concat([nar, Buffer.of(0)]), 'bundle-malformed'],
  ['eight bytes too long', (nar: Buffer) => Buffer.concat([nar, Buffer.alloc(8)]), 'bundle-malformed'],
  ['of other contents', (nar: Buffer) => turned(nar, nar.indexOf('#!') + 4), 'nix-failed'],
  ['no NAR at all', (nar: Buffer) => Buffer.alloc(nar.length, 7), 'nix-failed'],
] as const) {
  test(`a NAR ${name} ends the import; the path does not become valid, and the daemon lives on`, async (t) => {
    const { target, socket } = await freshTarget();
    const paths = await pathsOfBundle(t);
    const last = paths.at(-1) as PathToAdd;
    const spoiled = [...paths.slice(0, -1), { ...last, nar: () => chunksOf(last.nar(), change) }];
    await assert.rejects(addToDaemon({ socket, paths: spoiled }), { code });
    assert.ok(!(await target.validPaths()).includes(last.path));
    const good = await addToDaemon({ socket, paths });
    t.after(good.release);
    assert.ok(good.bytes > 0, 'the same daemon, with good bytes');
    assert.deepEqual(await target.validPaths(), named(paths));
  });
}

function turned(nar: Buffer, at: number): Buffer {
  const copy = Buffer.from(nar);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

test('a source that fails midway is what the import fails with', async (t) => {
  const { target, socket } = await freshTarget();
  const paths = await pathsOfBundle(t);
  const gone = async function* () {
    yield Buffer.alloc(16);
    throw new Error('the stick was pulled');
  };
  const spoiled = paths.map((path, i) => (i === 1 ? { ...path, nar: gone } : path));
  await assert.rejects(addToDaemon({ socket, paths: spoiled }), /the stick was pulled/);
  const [first, ...rest] = paths.map(({ path }) => path as string);
  const valid = await target.validPaths();
  assert.ok(rest.length > 0 && valid.every((path) => path === first), valid.join(' '));
});

test('a daemon that is killed in the middle is unavailable, not a bad bundle', async (t) => {
  const { target, socket } = await freshTarget();
  const paths = await pathsOfBundle(t);
  const killing = async function* () {
    yield Buffer.alloc(16);
    await target.killDaemon();
    // Nothing is wrong with what is given: there is only more to come.
    for (;;) {
      await setImmediate();
      yield Buffer.alloc(0);
    }
  };
  const first = paths[0] as PathToAdd;
  await assert.rejects(addToDaemon({ socket, paths: [{ ...first, nar: killing }] }), {
    code: 'nix-unavailable',
  });
});

/** Something else on a socket; what it was sent is thrown away. */
async function listening(t: TestContext, answer: (socket: Socket) => void): Promise<string> {
  const path = join(shop.folder, `s${(Math.random() * 1e9).toFixed(0)}`);
  const server = createServer((socket) => {
    socket.resume();
    socket.on('error', () => undefined);
    answer(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => server.close());
  return path;
}

for (const [name, answer, code, detail] of [
  [
    'hangs up',
    (s: Socket) => s.end(),
    'nix-unavailable',
    /the Nix daemon closed the connection|cannot reach the Nix daemon/,
  ],
  [
    'speaks something else',
    (s: Socket) => s.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    'nix-unavailable',
    /what answers there is not a Nix daemon/,
  ],
  [
    'is a daemon of long ago',
    (s: Socket) => s.write(Buffer.concat([encodeNumber(0x6478696f), encodeNumber((1 << 8) | 21)])),
    'nix-too-old',
    /its daemon speaks protocol 1\.21; 1\.35 or newer is required/,
  ],
  [
    'announces a string of 2^60 bytes',
    (s: Socket) =>
      s.write(
        Buffer.concat([encodeNumber(0x6478696f), encodeNumber(protocolVersion), encodeNumber(2 ** 60)]),
      ),
    'nix-failed',
    /unexpected answer from the Nix daemon/,
  ],
] as const) {
  test(`what listens there and ${name} is refused as ${code}`, async (t) => {
    const paths = await pathsOfBundle(t);
    await assert.rejects(addToDaemon({ socket: await listening(t, answer), paths }), { code, detail });
  });
}

test('nobody listens', async (t) => {
  const paths = await pathsOfBundle(t);
  const missing = join(shop.folder, 'nowhere');
  await assert.rejects(addToDaemon({ socket: missing, paths }), { code: 'nix-unavailable' });
});

test('the socket of a store, as Nix finds it', () => {
  assert.equal(daemonSocketOf('daemon', {}), '/nix/var/nix/daemon-socket/socket');
  assert.equal(daemonSocketOf('daemon', { NIX_STATE_DIR: '/s' }), '/s/daemon-socket/socket');
  assert.equal(daemonSocketOf('daemon', { NIX_DAEMON_SOCKET_PATH: '/d' }), '/d');
  assert.equal(daemonSocketOf('unix:///run/d', {}), '/run/d');
  for (const store of ['auto', 'local', '/mnt', 'ssh-ng://other', 'unix:///run/d?root=/mnt', undefined])
    assert.equal(daemonSocketOf(store, {}), undefined, store);
});

test('a store that no daemon serves is filled by Nix itself, from a loopback cache', async () => {
  const root = join(shop.folder, `t${targets.length}`);
  const target = await makeTarget(root, {
    host: 'web',
    trustedKeys: [shop.keys.publicKey],
    settings: { store: 'local' },
  });
  targets.push(target);
  const path = await shop.bundle('one', { hosts: { web: plainHost('web', 'one') } });
  const ran = await target.verb('switch', ['--tarball', path, '--json']);
  const receipt = JSON.parse(ran.stdout) as { state: string; detail?: string };
  assert.equal(receipt.state, 'committed', receipt.detail);
});
