/** What a server may do, and what it may not: nothing it sends is larger, longer or from elsewhere than was asked for. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { NixmakerError } from '../../src/core/errors.ts';
import { Client } from '../../src/network/client.ts';
import { openConnection } from '../../src/network/connection.ts';
import { LeastSpeed, RateLimit } from '../../src/network/pace.ts';
import { systemClock } from '../../src/process/clock.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

let handler: Handler = (_, response) => response.end();
const asked: string[] = [];
const server: Server = createServer((request, response) => {
  asked.push(`${request.method} ${request.url}`);
  handler(request, response);
});
server.listen(0, '::1');
await once(server, 'listening');
const { port } = server.address() as AddressInfo;
const url = `http://[::1]:${port}/a/pool`;

const open = async (env = {}, at = url) => {
  const connection = await openConnection({ url: at }, env);
  const client = new Client({ connection, rate: new RateLimit(undefined, systemClock), clock: systemClock });
  after(() => client.close());
  return client;
};
const client = await open();
after(() => {
  server.closeAllConnections();
  server.close();
});

const answers = (next: Handler) => {
  handler = next;
  asked.length = 0;
};

test('a file comes as it is, over IPv6, below the URL', async () => {
  answers((_, response) => response.end('hello'));
  assert.equal((await client.small('nixmaker/x', 5))?.toString(), 'hello');
  assert.deepEqual(asked, ['GET /a/pool/nixmaker/x']);
});

for (const status of [403, 404, 410])
  test(`status ${status} means that there is no such file`, async () => {
    answers((_, response) => response.writeHead(status).end('<html>'));
    assert.equal(await client.small('x', 100), undefined);
  });

const wrong: Readonly<Record<string, readonly [Handler, string, RegExp]>> = {
  'more bytes than announced by anybody': [
    (_, response) => {
      response.write('a'.repeat(60));
      response.end('a'.repeat(60));
    },
    'source-misbehaves',
    /more than 100 bytes/,
  ],
  'a length that is too large': [
    (_, response) => response.writeHead(200, { 'content-length': 1e12 }).flushHeaders(),
    'source-misbehaves',
    /1000000000000 bytes; at most 100 were expected/,
  ],
  'something compressed': [
    (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('a'.repeat(1e6))),
    'source-misbehaves',
    /compressed/,
  ],
  'a redirect to another server': [
    (_, response) => response.writeHead(302, { location: 'http://127.0.0.2/latest/meta-data' }).end(),
    'source-misbehaves',
    /redirect to another server/,
  ],
  'redirects without end': [
    (_, response) => response.writeHead(302, { location: '/again' }).end(),
    'source-misbehaves',
    /more than 5 redirects/,
  ],
  'a redirect to nowhere': [(_, response) => response.writeHead(301).end(), 'source-misbehaves', /redirect/],
  'a part that was not asked for': [
    (_, response) => response.writeHead(206, { 'content-range': 'bytes 5-9/10' }).end('12345'),
    'source-misbehaves',
    /status 206/,
  ],
  'a refusal': [(_, response) => response.writeHead(401).end(), 'source-refused', /status 401/],
  'a fault of its own': [(_, response) => response.writeHead(503).end(), 'source-unreachable', /status 503/],
  'half of it': [
    (request, response) => {
      response.writeHead(200, { 'content-length': 50 }).write('half');
      setImmediate(() => request.socket.destroy());
    },
    'source-unreachable',
    /aborted|ECONNRESET/,
  ],
  'what is not HTTP': [
    (request) => request.socket.end('220 \u001b[31mwelcome\r\n'),
    'source-misbehaves',
    /HPE_/,
  ],
  'headers without end': [
    (request) => {
      request.socket.write('HTTP/1.1 200 OK\r\n');
      request.socket.end(`X: ${'x'.repeat(40_000)}\r\n`.repeat(4));
    },
    'source-misbehaves',
    /HPE_HEADER_OVERFLOW/,
  ],
};
for (const [what, [answer, code, detail]] of Object.entries(wrong))
  test(`a server that sends ${what}: ${code}`, async () => {
    answers(answer);
    await assert.rejects(client.small('x', 100), { code, detail });
    assert.ok(asked.length <= 7, asked.join(' '));
  });

test('what a server says does not act on a terminal', async () => {
  answers((request) => request.socket.end('HTTP/1.1 \u001b[2J \u001b]0;x\u0007\r\n\r\n'));
  const said = await client.small('x', 100).then(String, String);
  assert.match(said, /source-misbehaves/);
  assert.doesNotMatch(said, /[\u0000-\u001f\u007f-\u009f]/);
});

test('a redirect on the same server is followed', async () => {
  answers((request, response) =>
    request.url === '/b' ? response.end('there') : response.writeHead(308, { location: '/b' }).end(),
  );
  assert.equal((await client.small('x', 100))?.toString(), 'there');
});

test('a part is gone on with; a server that has another file by now sends all of it', async () => {
  const seen: (string | undefined)[] = [];
  answers((request, response) => {
    seen.push(request.headers.range, request.headers['if-range'] as string);
    if (request.headers['if-range'] === '"one"')
      response.writeHead(206, { 'content-range': 'bytes 4-9/10', etag: '"one"' }).end('456789');
    else response.writeHead(200, { etag: 'W/"weak"' }).end('0123456789');
  });
  const rest = await client.get('x', 10, { from: 4, etag: '"one"' });
  assert.deepEqual([rest?.from, rest?.etag], [4, '"one"']);
  rest?.discard();
  const whole = await client.get('x', 10, { from: 4, etag: '"two"' });
  assert.deepEqual([whole?.from, whole?.etag], [0, undefined], 'a weak tag does not count');
  whole?.discard();
  assert.deepEqual(seen, ['bytes=4-', '"one"', 'bytes=4-', '"two"']);
});

test('whoever reads slowly on purpose does not blame the server, which is given up all the same if it stops', async () => {
  const connection = await openConnection({ url }, {});
  const rate = new RateLimit(200_000, systemClock);
  const slow = new Client({ connection, rate, clock: systemClock, patience: 150 });
  after(() => slow.close());
  answers((_, response) => response.end(Buffer.alloc(150_000)));
  assert.equal((await slow.small('x', 200_000))?.length, 150_000);
  answers((_, response) => response.writeHead(200, { 'content-length': 8 }).write('half'));
  await assert.rejects(slow.small('x', 100), { code: 'source-unreachable', detail: /aborted/ });
});

test('a proxy is used where the environment names one, and not where NO_PROXY does', async () => {
  answers((_, response) => response.end('by proxy'));
  const proxied = await open({ HTTP_PROXY: `http://[::1]:${port}` }, 'http://updates.invalid/fleet');
  assert.equal((await proxied.small('x', 100))?.toString(), 'by proxy');
  assert.deepEqual(asked, ['GET http://updates.invalid/fleet/x']);
  const direct = await open({ HTTP_PROXY: 'http://[::1]:1', NO_PROXY: '::1,[::1]' });
  assert.equal((await direct.small('x', 100))?.toString(), 'by proxy');
});

test('a proxy’s password is in no error', async () => {
  const proxy = createServer();
  proxy.on('connect', (_, socket) => socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'));
  proxy.listen(0, '::1');
  await once(proxy, 'listening');
  after(() => proxy.close());
  const through = `http://somebody:s3cret@[::1]:${(proxy.address() as AddressInfo).port}`;
  const proxied = await open({ HTTPS_PROXY: through }, 'https://updates.invalid/fleet');
  await assert.rejects(proxied.small('x', 100), (error: NixmakerError) => {
    assert.equal(error.code, 'source-unreachable');
    assert.match(error.detail, /407/);
    assert.doesNotMatch(error.detail, /s3cret/);
    return true;
  });
});

test('a server that is not there is unreachable', async () => {
  const gone = await open({}, 'http://[::1]:1/');
  await assert.rejects(gone.small('x', 1), { code: 'source-unreachable', detail: /ECONNREFUSED/ });
});

test('what is no certificate is refused before anything is asked', async () => {
  const opening = openConnection({ url, caFile: '/etc/passwd' }, {});
  await assert.rejects(opening, { code: 'key-malformed', detail: /no certificate or key in PEM form/ });
});

test('a server that sends a byte now and then is given up; a slow line is not', () => {
  let now = 0;
  const clock = { monotonic: () => now, sleep: async () => undefined };
  const loris = new LeastSpeed(clock);
  const dripping = () => {
    for (; now < 200_000; now += 5000) loris.add(1);
  };
  assert.throws(dripping, { code: 'source-unreachable', detail: /bytes in 60 s/ });
  now = 0;
  const satellite = new LeastSpeed(clock);
  for (; now < 600_000; now += 5000) satellite.add(3000);
});

test('a rate is kept for all that is read at the same time', async () => {
  let now = 0;
  const sleep = async (milliseconds: number) => {
    now += milliseconds;
  };
  const rate = new RateLimit(10_000, { monotonic: () => now, sleep });
  for (let i = 0; i < 10; i++) await rate.spend(5000);
  assert.equal(now, 5000);
});
