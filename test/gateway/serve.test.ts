/** A gateway shows a pool and nothing else, and takes receipts and nothing else. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { serveFolder } from '../../src/gateway/serve.ts';

const stick = await mkdtemp(join(tmpdir(), 'nixmaker-gateway-'));
const emitted: unknown[] = [];
const serve = (options: { receipts?: boolean; port?: number } = {}) =>
  serveFolder({
    ...{ folder: stick, address: '::1', port: 0, receipts: true },
    ...options,
    emit: (event) => emitted.push(event),
  });
const digest = '0'.repeat(52);
const pool = join(stick, 'nixmaker');
for (const folder of [
  'hosts/web/12',
  'hosts/web/7',
  'hosts/mail/1',
  'cache/nar/00',
  'cache/index',
  'keyrings',
])
  await mkdir(join(pool, folder), { recursive: true });
await writeFile(join(pool, 'hosts/web/12/manifest.json'), '{}');
await writeFile(join(pool, `cache/nar/00/${digest}.nar.zst`), '0123456789');
await writeFile(join(stick, 'private'), 'private');
await symlink(join(stick, 'private'), join(pool, `cache/index/${digest}`));
await symlink('/', join(pool, 'hosts/root'));
const gateway = await serve();
after(async () => {
  await gateway.close();
  await rm(stick, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}
/** The path as it is: nothing on the way tidies it. */
const ask = (
  path: string,
  {
    method = 'GET',
    headers = {},
    body = '',
    port = gateway.port,
  }: { method?: string; headers?: Record<string, string>; body?: string | Buffer; port?: number } = {},
) =>
  new Promise<Answer>((resolve, reject) => {
    const length = body.length > 0 ? { 'content-length': String(Buffer.byteLength(body)) } : {};
    const sent = request(
      { host: '::1', port, path, method, headers: { ...length, ...headers } },
      (response) => {
        let said = '';
        response.on('data', (chunk) => {
          said += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: said }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
const piece = `/nixmaker/cache/nar/00/${digest}.nar.zst`;

test('files of a pool are given, whole and in part, and pieces under a tag of their own', async () => {
  const whole = await ask(piece);
  assert.deepEqual(
    [whole.status, whole.body, whole.headers.etag],
    [200, '0123456789', `"${digest}.nar.zst"`],
  );
  const part = await ask(piece, { headers: { range: 'bytes=4-', 'if-range': `"${digest}.nar.zst"` } });
  assert.deepEqual([part.status, part.body, part.headers['content-range']], [206, '456789', 'bytes 4-9/10']);
  const other = await ask(piece, { headers: { range: 'bytes=4-', 'if-range': '"other"' } });
  assert.deepEqual([other.status, other.body], [200, '0123456789']);
  assert.equal((await ask(piece, { headers: { range: 'bytes=10-' } })).status, 416);
  assert.equal((await ask(piece, { headers: { range: 'bytes=1-2,4-5' } })).status, 200);
  const head = await ask(piece, { method: 'HEAD' });
  assert.deepEqual([head.status, head.body, head.headers['content-length']], [200, '', '10']);
  assert.equal((await ask('/nixmaker/hosts/web/12/manifest.json')).body, '{}');
});

test('the sequences are those that are there, whether or not somebody has listed them', async () => {
  assert.equal((await ask('/nixmaker/hosts/web/sequences')).body, '12\n7\n');
  assert.equal((await ask('/nixmaker/hosts/none/sequences')).status, 404);
});

for (const path of [
  '/',
  '/private',
  '/nixmaker/',
  '/nixmaker/.lock',
  '/nixmaker/hosts/web/12/',
  '/nixmaker/hosts/web/12/../../../../private',
  '/nixmaker/hosts/../../private',
  '/nixmaker/hosts/%2e%2e/%2e%2e/private',
  '/nixmaker//hosts/web/12/manifest.json',
  '//nixmaker/hosts/web/12/manifest.json',
  '/nixmaker/hosts/root/12/manifest.json',
  `/nixmaker/cache/index/${digest}`,
  `${piece}?x`,
  `${piece}\\..`,
  '/nixmaker/receipts/web/12.json',
  `/nixmaker/hosts/${'a'.repeat(7000)}`,
])
  test(`there is no ${path.slice(0, 60)}`, async () => {
    const { status, body } = await ask(path);
    assert.deepEqual([status, body], [404, '']);
  });

test('nothing but GET, HEAD and PUT is answered', async () => {
  for (const method of ['POST', 'DELETE', 'MKCOL', 'PROPFIND', 'OPTIONS'])
    assert.equal((await ask(piece, { method })).status, 405, method);
});

const put = (path: string, body: string | Buffer, headers = {}) =>
  ask(path, { method: 'PUT', body, headers });
const receipts = async (host = 'web') =>
  (await readdir(join(pool, 'receipts', host)).catch(() => []))
    .filter((name) => name.endsWith('.json'))
    .sort();

test('a receipt of a host of the pool is put where collect looks, and none is overwritten', async () => {
  assert.equal((await put('/nixmaker/receipts/web/12.json', 'one')).status, 201);
  assert.equal((await put('/nixmaker/receipts/web/12.json', 'one')).status, 200);
  assert.equal((await put('/nixmaker/receipts/web/12.json', 'two')).status, 201);
  assert.equal((await put('/nixmaker/receipts/web/12.json', 'two')).status, 200);
  assert.equal(await readFile(join(pool, 'receipts/web/12.json'), 'utf8'), 'one');
  assert.match((await receipts()).join(' '), /^12\.json run-[0-9a-f]{12}\.json$/);
});

test('what is no receipt is not taken', async () => {
  const path = '/nixmaker/receipts/web/13.json';
  const cases: readonly (readonly [string, string | Buffer, Record<string, string>, number])[] = [
    ['/nixmaker/receipts/nobody/1.json', 'x', {}, 403],
    ['/nixmaker/receipts/web/manifest.json', 'x', {}, 403],
    ['/nixmaker/receipts/web/../mail/1.json', 'x', {}, 403],
    ['/nixmaker/hosts/web/12/manifest.json', 'x', {}, 403],
    [path, Buffer.from([0xff, 0xfe]), {}, 400],
    [path, 'x', { 'content-length': String(9 * 1024 * 1024) }, 413],
    [path, '', { 'transfer-encoding': 'chunked' }, 411],
  ];
  for (const [where, body, headers, status] of cases) {
    const got = await put(where, body, headers).catch((error: Error) => error);
    assert.ok(
      got instanceof Error ? status === 413 : got.status === status,
      `${where}: ${JSON.stringify(got)}`,
    );
  }
  assert.equal((await receipts()).length, 2);
});

test('only so many of a host are taken', async () => {
  for (let i = 0; i < 256; i++) await writeFile(join(pool, 'receipts/web', `${100 + i}.json`), 'x');
  assert.equal((await put('/nixmaker/receipts/web/99.json', 'new')).status, 507);
  assert.equal((await put('/nixmaker/receipts/mail/1.json', 'new')).status, 201, 'others are not held up');
});

test('a folder of receipts that leads elsewhere is not followed', async () => {
  await mkdir(join(pool, 'hosts/db/1'), { recursive: true });
  const elsewhere = join(stick, 'elsewhere');
  await mkdir(elsewhere);
  await symlink(elsewhere, join(pool, 'receipts/db'));
  assert.ok((await put('/nixmaker/receipts/db/1.json', 'x')).status >= 400);
  assert.deepEqual(await readdir(elsewhere), []);
});

test('one client does not take all connections', async () => {
  const held = Array.from({ length: 40 }, () => connect(gateway.port, '::1').on('error', () => undefined));
  const open = () => held.filter((socket) => !socket.destroyed && !socket.closed).length;
  await assert.doesNotReject(async () => {
    while (open() > 16) await new Promise((resolve) => setTimeout(resolve, 10));
  });
  for (const socket of held) socket.destroy();
});

/** Files of the pool that are open here. */
const held = async () => {
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  );
  return links.filter((link) => link.startsWith(pool)).length;
};

test('requests that a client sends all at once and answers that it does not read hold nothing open', async () => {
  const large = `/nixmaker/cache/nar/11/${'1'.repeat(52)}.nar.zst`;
  await mkdir(join(pool, 'cache/nar/11'));
  await writeFile(join(stick, large), Buffer.alloc(16 * 1024 * 1024));
  const client = connect(gateway.port, '::1');
  client.on('error', () => undefined);
  await once(client, 'connect');
  client.write(`GET ${large} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(300));
  let most = 0;
  for (let quiet = 0; quiet < 20; quiet += 1) {
    const now = await held();
    if (now > most) quiet = 0;
    most = Math.max(most, now);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  // Four requests at a time; to open a file, the folders on the way to it are open for a moment.
  assert.ok(most <= 4 * 8, `${most} files are open for one connection`);
  client.destroy();
  // Nothing stays open for a client that has gone: the test's own deadline bounds the wait.
  while ((await held()) > 0) await new Promise((resolve) => setTimeout(resolve, 10));
});

test('a client that uses its connection again is answered each time', async () => {
  const client = connect(gateway.port, '::1');
  let said = '';
  client.on('data', (chunk) => {
    said += chunk;
  });
  for (let i = 1; i <= 20; i++) {
    client.write(`GET ${piece} HTTP/1.1\r\nHost: x\r\n\r\n`);
    while (said.split('0123456789').length <= i) await once(client, 'data');
  }
  client.destroy();
});

test('without receipts it only gives', async () => {
  const other = await serve({ receipts: false });
  const { port } = other;
  assert.equal((await ask('/nixmaker/receipts/mail/2.json', { method: 'PUT', body: 'x', port })).status, 405);
  assert.equal((await ask(piece, { port })).status, 200);
  await other.close();
});

test('a port that is taken, and a folder that is not there, are said with their codes', async () => {
  await assert.rejects(serve({ port: gateway.port }), { code: 'cannot-listen', detail: /EADDRINUSE/ });
  const nowhere = {
    folder: join(stick, 'nowhere'),
    address: '::1',
    port: 0,
    receipts: true,
    emit: () => undefined,
  };
  await assert.rejects(serveFolder(nowhere), { code: 'no-medium', detail: /is not a folder/ });
  const waiting = await serveFolder({ ...nowhere, unattended: true });
  assert.equal((await ask(piece, { port: waiting.port })).status, 404);
  await waiting.close();
});
