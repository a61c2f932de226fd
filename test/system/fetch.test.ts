/** Pools from real servers: nginx over TLS with certificates on both sides and IPv6, and an S3-compatible object store. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ifMissing } from '../../src/core/errno.ts';
import { encodeNix32 } from '../../src/core/nix32.ts';
import { nixSystem, run } from '../machines/program.ts';
import { makeTarget } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { makeCertificates, startNginx, startObjectStore } from '../support/web-servers.ts';

const shop = await makeWorkshop();
const desk = join(shop.folder, 'desk');
await mkdir(desk);
const certificates = await makeCertificates(join(shop.folder, 'certificates'));
const web = await startNginx(join(shop.folder, 'nginx'), { root: desk, certificates });
const slow = await startNginx(join(shop.folder, 'slow'), {
  root: desk,
  certificates,
  lines: 'location ~ [.]zst$ { limit_rate 300k; }',
});
const store = await startObjectStore(join(shop.folder, 'store'), 'fleet');
const fetched = join(shop.folder, 'fetched');
const { ca, client } = certificates;
const ways = { caFile: ca, certificateFile: client.certificate, keyFile: client.key };
const server = { url: `https://[::1]:${web.port}`, ...ways };
const target = await makeTarget(join(shop.folder, 'web'), {
  host: 'web',
  trustedKeys: [shop.keys.publicKey],
  policy: { sources: { servers: [server] } },
  settings: { fetchDirectory: fetched, activationDirectory: join(shop.folder, 'web', 'state') },
});
after(async () => {
  for (const each of [web, slow, store, target]) await each.close();
});

const blob = (name: string) =>
  `\${derivation { name = "${name}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" "head -c 2000000 /dev/urandom >$out" ]; }}`;
let sequence = 0;
async function release(name: string): Promise<void> {
  sequence += 10;
  const bundle = await shop.bundle(name, {
    hosts: { web: plainHost('web', `${name} ${blob('first')} ${blob(name)}`) },
    args: ['--sequence', String(sequence - 1)],
  });
  const put = await shop.builder.nixmaker(['put', desk, bundle]);
  assert.equal(put.code, 0, put.stderr);
}

interface Report {
  readonly servers: readonly { readonly status: string; readonly files: number; readonly bytes: number }[];
}
async function fetch(...args: string[]): Promise<Report['servers'][number]> {
  const ran = await target.verb('fetch', [...args, '--json']);
  assert.equal(ran.code, 0, ran.stderr + ran.stdout);
  const [first] = (JSON.parse(ran.stdout) as Report).servers;
  assert.ok(first !== undefined);
  return first;
}
async function refused(args: readonly string[], code: number): Promise<string> {
  const ran = await target.verb('fetch', args);
  assert.equal(ran.code, code, ran.stderr);
  return ran.stderr;
}
const byHand = ['--ca', ca, '--certificate', client.certificate, '--private-key', client.key];
const runs = async () => (await target.run(['cat', '/run/current-system/etc/motd'])).stdout.split(' ')[0];
const take = async () => {
  const ran = await target.verb('agent', ['--once']);
  assert.equal(ran.code, 0, ran.stderr);
};
const files = async (folder: string, fits: RegExp) =>
  (await readdir(folder, { recursive: true }).catch(() => [])).filter((name) => fits.test(name));

test('what a server has is fetched as the policy says, and the agent takes it', async () => {
  await release('one');
  const got = await fetch();
  assert.equal(got.status, 'fetched');
  assert.ok(got.files > 2 && got.bytes > 4_000_000, JSON.stringify(got));
  await take();
  assert.equal(await runs(), 'one');
  assert.equal((await fetch()).status, 'nothing');
});

test('of the next release only what this machine lacks is fetched, and nothing stays of the one before', async () => {
  await release('two');
  const got = await fetch();
  assert.equal(got.status, 'fetched');
  assert.ok(got.bytes > 2_000_000 && got.bytes < 3_000_000, `the first blob is here already: ${got.bytes}`);
  const before = (await web.requests()).length;
  assert.equal((await fetch()).status, 'there');
  assert.ok((await web.requests()).slice(before).every((line) => !/[.]zst /.test(line)));
  assert.deepEqual(await files(join(fetched, 'nixmaker/hosts'), /manifest.json$/), ['web/20/manifest.json']);
  assert.equal((await files(join(fetched, 'nixmaker/cache/nar'), /zst$/)).length, got.files);
  await take();
  assert.equal(await runs(), 'two');
  assert.deepEqual(await files(join(fetched, 'nixmaker/receipts/web'), /20.json$/), ['20.json']);
});

test('cut off in the middle of a file, it goes on from there', async () => {
  await release('three');
  const [program, ...args] = target.command([
    ...[process.execPath, (await import('../machines/compiled.ts')).main, 'fetch'],
    ...['--settings', target.settingsFile, `https://[::1]:${slow.port}`, ...byHand],
  ]);
  const child = spawn(program, args, { env: { ...process.env, ...target.env }, stdio: 'ignore' });
  const ended = once(child, 'exit');
  const begun = async () => {
    for (const name of await files(join(fetched, 'nixmaker/cache/nar'), /[.]part$/)) {
      // A small one has its own name by now.
      const { size } = await stat(join(fetched, 'nixmaker/cache/nar', name)).catch(ifMissing({ size: 0 }));
      if (size > 200_000) return size;
    }
    return 0;
  };
  let there = 0;
  while (there === 0) {
    assert.equal(child.exitCode, null, 'it was done before it could be cut off');
    await sleep(10);
    there = await begun();
  }
  child.kill('SIGKILL');
  await ended;
  await take();
  assert.equal(await runs(), 'two', 'half a release is none');
  const got = await fetch();
  assert.equal(got.status, 'fetched');
  const parts = (await web.requests()).filter((line) => / 206 /.test(line));
  assert.equal(parts.length, 1, parts.join('\n'));
  assert.ok(got.bytes < 2_000_000 + 100_000 - there + 65_536, `${got.bytes} after ${there}`);
  await take();
  assert.equal(await runs(), 'three');
});

test('an S3-compatible object store serves as well', async () => {
  await release('four');
  const carriers = process.env.NIXMAKER_CARRIERS ?? '';
  const s3 = `:s3,provider=Other,access_key_id=S3RVER,secret_access_key=S3RVER,endpoint='http://127.0.0.1:${store.port}',force_path_style=true`;
  // An environment of the caller’s own would be for another store.
  const call = [
    '-u',
    'AWS_CA_BUNDLE',
    join(carriers, 'rclone'),
    'copy',
    '--config',
    '/dev/null',
    desk,
    `${s3}:fleet`,
  ];
  const copied = await run('env', call);
  assert.equal(copied.code, 0, copied.stderr);
  const got = await fetch(`http://127.0.0.1:${store.port}/fleet`);
  assert.equal(got.status, 'fetched');
  await take();
  assert.equal(await runs(), 'four');
});

test('damage on the server, or on the way, is noticed here; the good file is fetched afterwards', async () => {
  await release('five');
  const name = (await files(join(desk, 'nixmaker/cache/nar'), /zst$/)).sort();
  const sizes = await Promise.all(
    name.map(async (n) => (await stat(join(desk, 'nixmaker/cache/nar', n))).mtimeMs),
  );
  const newest = join(desk, 'nixmaker/cache/nar', name[sizes.indexOf(Math.max(...sizes))] ?? '');
  const good = await readFile(newest);
  await writeFile(newest, Buffer.alloc(good.length, 1));
  assert.match(await refused([], 65), /nar.zst is damaged.*\(bundle-altered\)/s);
  await rm(newest);
  assert.match(await refused([], 65), /has no nar\/.*bundle-truncated/s);
  await writeFile(newest, good);
  assert.equal((await fetch()).status, 'fetched');
  await take();
  assert.equal(await runs(), 'five');
});

test('what one server gave in full, a later one does not replace with rubbish', async () => {
  await release('six');
  const place = `nixmaker/hosts/web/${sequence}/contents`;
  const evil = join(shop.folder, 'evil');
  await cp(desk, evil, { recursive: true });
  const rubbish = Buffer.alloc(1000, 1);
  const digest = encodeNix32(createHash('sha256').update(rubbish).digest());
  await mkdir(join(evil, 'nixmaker/cache/nar', digest.slice(0, 2)), { recursive: true });
  await writeFile(join(evil, 'nixmaker/cache/nar', digest.slice(0, 2), `${digest}.nar.zst`), rubbish);
  const [head, ...lines] = (await readFile(join(desk, place), 'utf8')).trim().split('\n');
  const forged = lines.map((line) => JSON.stringify([JSON.parse(line)[0], 'whole', rubbish.length, digest]));
  await writeFile(join(evil, place), [head, ...forged, ''].join('\n'));
  const other = await startNginx(join(shop.folder, 'other'), { root: evil, certificates });
  after(() => other.close());
  const policy = JSON.parse(await readFile(target.policyFile, 'utf8'));
  policy.sources.servers.push({ url: `https://[::1]:${other.port}`, ...ways });
  await writeFile(target.policyFile, JSON.stringify(policy));
  assert.equal((await fetch()).status, 'fetched');
  policy.sources.servers.pop();
  await writeFile(target.policyFile, JSON.stringify(policy));
  await take();
  assert.equal(await runs(), 'six');
});

test('what can’t be fetched is said with its code, and nothing is stored', async () => {
  assert.match(await refused([server.url, '--ca', ca], 1), /status 400.*\(source-refused\)/s);
  assert.match(await refused([server.url], 1), /certificate.*\(source-untrusted\)/s);
  assert.match(
    await refused([`${server.url}/elsewhere`, ...byHand], 75),
    /lists no sequences of web.*\(source-empty\)/s,
  );
  assert.match(await refused([`https://user:pw@[::1]:${web.port}`], 64), /without a user/);
  await writeFile(join(desk, 'nixmaker/hosts/web/sequences'), `99\n${sequence}\n`);
  await mkdir(join(desk, 'nixmaker/hosts/web/99'));
  await writeFile(join(desk, 'nixmaker/hosts/web/99/manifest.json'), '{}\n');
  await writeFile(join(desk, 'nixmaker/hosts/web/99/manifest.sig'), 'evil:AAAA\n');
  assert.equal((await fetch()).status, 'nothing', 'what nobody signed does not hide what somebody did');
});
