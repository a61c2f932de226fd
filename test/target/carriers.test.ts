/**
 * A pool in a folder that a carrier fills, end to end on the real Nix: put, half-synced, taken where it lies; receipts back;
 * collect, fleet, and a bundle that carries only what the host lacks.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { after, test } from 'node:test';
import { nixSystem, run } from '../machines/program.ts';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost, writeFlake } from '../support/fleet.ts';

const shop = await makeWorkshop();
const desk = join(shop.folder, 'desk');
const carried = join(shop.folder, 'Sync Ordner');
const fleet = join(shop.folder, 'fleet');
await mkdir(desk);
await mkdir(carried);
const web = join(shop.folder, 'web');
const target = await makeTarget(web, {
  host: 'web',
  trustedKeys: [shop.keys.publicKey],
  policy: { media: { folders: [carried] } },
  settings: { activationDirectory: join(web, 'state'), sshHostKey: join(web, 'ssh.pub') },
});
after(() => target.close());
const sshHostKey = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${'D'.repeat(43)}`;
await writeFile(join(web, 'ssh.pub'), `${sshHostKey} root@web\n`);
const ageKey = (await target.verb('age-key')).stdout.trim();

const blob = (name: string) =>
  `\${derivation { name = "${name}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" "head -c 2000000 /dev/urandom >$out" ]; }}`;
const release = (name: string, sequence: number, motd = name, args: readonly string[] = []) =>
  shop.bundle(name, {
    hosts: { web: plainHost('web', motd) },
    args: ['--sequence', String(sequence), ...args],
  });
const cli = async (...args: string[]) => {
  const ran = await shop.builder.nixmaker(args);
  return {
    ...ran,
    json: ran.stdout.startsWith('{') ? (JSON.parse(ran.stdout) as Record<string, unknown>) : {},
  };
};
const put = async (...bundles: string[]) => {
  const ran = await cli('put', desk, ...bundles);
  assert.equal(ran.code, 0, ran.stderr);
};
const once = (on: Target = target) => on.verb('agent', ['--once']);
const runs = async () => (await target.run(['cat', '/run/current-system/etc/motd'])).stdout.trim();
const receipts = async () =>
  (await readdir(join(carried, 'nixmaker/receipts/web')).catch(() => [])).filter((n) => n.endsWith('.json'));

test('half a pool waits; a whole one is taken where it lies, and a receipt lies beside it', async () => {
  await put(await release('one', 0, `one ${blob('large')}`));
  // As rclone and rsync leave it midway: the manifest is there, NARs are missing or have other names.
  await cp(desk, carried, { recursive: true });
  const nars = join(carried, 'nixmaker/cache/nar');
  const large = await largest(nars);
  await rename(join(nars, large), join(nars, `${large}.4f2a.partial`));
  const waiting = await once();
  assert.equal(waiting.code, 75, waiting.stderr);
  assert.equal(await target.currentSystem(), undefined);
  assert.deepEqual(await receipts(), [], 'a visit is not over while something is on its way');
  await rename(join(nars, `${large}.4f2a.partial`), join(nars, large));
  const before = await run('find', [
    join(carried, 'nixmaker'),
    '-type',
    'f',
    '-not',
    '-path',
    '*/receipts/*',
  ]);
  const taken = await once();
  assert.equal(taken.code, 0, taken.stderr);
  assert.match(await runs(), /^one /);
  assert.deepEqual(await receipts(), ['1.json']);
  const report = await readFile(join(carried, 'nixmaker/receipts/web/1.txt'), 'utf8');
  assert.match(report, /^DONE\n/, 'and the same for people');
  const now = await run('find', [join(carried, 'nixmaker'), '-type', 'f', '-not', '-path', '*/receipts/*']);
  assert.equal(now.stdout, before.stdout, 'nothing else was written or moved');
});

test('inspect says what is in a pool, and, with the policy, what this machine would do with it', async () => {
  const mail = await shop.bundle('mail', { hosts: { mail: plainHost('mail') }, host: 'mail' });
  await put(mail);
  const plain = await cli('inspect', desk);
  assert.match(plain.stdout, /^nixmaker\/hosts\/mail\/1 +mail +1 .*signed by fleet-1\?$/m);
  assert.match(plain.stdout, /^nixmaker\/hosts\/web\/1 +web +1 .*signed by fleet-1\?$/m);
  const judged = await target.verb('inspect', ['--policy', target.policyFile, desk]);
  assert.match(judged.stdout, /^nixmaker\/hosts\/web\/1 +web +1 +already done/m, judged.stderr);
  assert.match(judged.stdout, /^nixmaker\/hosts\/mail\/1 +mail +1 +for another host/m);
});

test('collect believes no host it does not know, then only this host’s own key', async () => {
  const stranger = await cli('collect', carried, '-d', fleet, '--json');
  assert.equal(stranger.code, 65);
  const [unknown] = stranger.json.receipts as { code: string; detail: string }[];
  assert.equal(unknown?.code, 'host-not-enrolled');
  assert.match(unknown?.detail ?? '', /^it says its key is host-web:/);
  const enrolled = await cli('collect', carried, '-d', fleet, '--enrol');
  assert.equal(enrolled.code, 0, enrolled.stderr);
  assert.match(enrolled.stdout, /^web +1 +done +new, host enrolled$/m);
  const key = await target.verb('host-key');
  assert.equal(await readFile(join(fleet, 'keys/web.public'), 'utf8'), key.stdout);
  const again = await cli('collect', carried, '-d', fleet);
  assert.match(again.stdout, /^web +1 +done +known$/m);
});

test('a receipt says how the host is', async () => {
  const { stdout } = await cli('fleet', '-d', fleet, '--json');
  const [web] = (JSON.parse(stdout) as { hosts: { last: { run: object; now: object; seen: object[] } }[] })
    .hosts;
  assert.ok(web);
  const {
    run: told,
    now,
    seen,
    ageRecipients,
  } = web.last as never as {
    run: Record<string, unknown>;
    now: {
      installed: string;
      floor: number;
      reads: number[];
      versions: Record<string, string>;
      space: unknown[];
      generations: number[];
      sshHostKey: string;
    };
    seen: unknown[];
    ageRecipients: string[];
  };
  assert.equal(told.state, 'committed');
  assert.equal(told.generation, 1);
  assert.equal(now.installed, await target.currentSystem());
  assert.equal(now.floor, 1);
  assert.deepEqual(now.reads, [2]);
  assert.match(now.versions.nix ?? '', /2\.\d+/);
  assert.ok(now.space.length > 0);
  assert.deepEqual([now.generations, now.sshHostKey, ageRecipients], [[1], sshHostKey, [ageKey]]);
  assert.deepEqual(seen, [{ file: 'nixmaker/hosts/web/1', host: 'web', sequence: 1, outcome: 'committed' }]);
  const table = await cli('fleet', '-d', fleet);
  assert.match(table.stdout, /^HOST +CONDITION +RELEASE +FLOOR +LAST .*\nweb +well +1 +1 +done +/);
});

test('an altered receipt, one of another host, and an older one put back are noticed', async () => {
  const medium = join(shop.folder, 'hostile');
  const folder = join(medium, 'nixmaker/receipts');
  await mkdir(join(folder, 'web'), { recursive: true });
  await mkdir(join(folder, 'mail'));
  const good = await readFile(join(carried, 'nixmaker/receipts/web/1.json'), 'utf8');
  const envelope = JSON.parse(good) as { payload: string };
  const lie = Buffer.from(envelope.payload, 'base64').toString().replace('"committed"', '"refused"');
  const forged = JSON.stringify({ ...envelope, payload: Buffer.from(lie).toString('base64') });
  await writeFile(join(folder, 'web/2.json'), forged);
  await writeFile(join(folder, 'mail/1.json'), good);
  await writeFile(join(folder, 'web/3.json'), 'x'.repeat(1000));
  const ran = await cli('collect', medium, '-d', fleet, '--enrol', '--json');
  assert.equal(ran.code, 65);
  const found = (ran.json.receipts as { file: string; status: string; code: string }[]).map(
    (r) => `${r.file.slice(folder.length)} ${r.status} ${r.code}`,
  );
  assert.deepEqual(found, [
    '/mail/1.json rejected receipt-malformed',
    '/web/2.json rejected receipt-malformed',
    '/web/3.json rejected receipt-malformed',
  ]);
  assert.equal((await stat(join(fleet, 'receipts/web'))).isDirectory(), true);
  assert.deepEqual((await readdir(join(fleet, 'receipts/web'))).sort(), ['1.collected', '1.json']);
});

test('for a host that does not read what this desk writes, nothing is built', async () => {
  const receipt = join(fleet, 'receipts/web/1.json');
  const envelope = JSON.parse(await readFile(receipt, 'utf8')) as { payload: string };
  const payload = Buffer.from(envelope.payload, 'base64').toString().replace('"reads":[2]', '"reads":[3]');
  const newer = join(shop.folder, 'newer.json');
  await writeFile(newer, JSON.stringify({ ...envelope, payload: Buffer.from(payload).toString('base64') }));
  const flake = await writeFlake(join(shop.folder, 'for-newer'), {
    hosts: { web: plainHost('web', 'newer') },
  });
  const args = ['-f', `path:${flake}`, '-d', join(shop.folder, 'for-newer-out'), '--since', newer];
  const built = await shop.builder.nixmaker(['build', ...args]);
  assert.equal(built.code, 65, built.stdout + built.stderr);
  assert.match(built.stderr, /web reads manifest schema 3; this nixmaker writes 2/);
});

test('a bundle built since a receipt carries what is new, and a host that lacks the rest says so', async () => {
  const receipt = join(fleet, 'receipts/web/1.json');
  const text = `two ${blob('large')}`;
  const whole = await release('two-whole', 1, text);
  const delta = await release('two', 1, text, ['--since', receipt]);
  assert.ok((await stat(whole)).size > 2_000_000);
  assert.ok((await stat(delta)).size < 60_000);
  const fresh = await makeTarget(join(shop.folder, 'fresh'), {
    host: 'web',
    trustedKeys: [shop.keys.publicKey],
  });
  try {
    const refused = await fresh.verb('switch', ['--tarball', delta]);
    assert.equal(refused.code, 77, refused.stdout);
    assert.match(refused.stdout, /base-missing/);
    assert.match(refused.stdout, /-large is missing|and \d+ more are missing/);
    assert.deepEqual(await fresh.validPaths(), []);
  } finally {
    await fresh.close();
  }
  await put(delta);
  await rm(join(carried, 'nixmaker/cache'), { recursive: true });
  await rm(join(carried, 'nixmaker/hosts'), { recursive: true });
  await cp(desk, carried, { recursive: true });
  const taken = await once();
  assert.equal(taken.code, 0, taken.stderr);
  assert.match(await runs(), /^two /);
  assert.deepEqual(await receipts(), ['1.json', '2.json']);
});

test('a receipt that can’t be written waits, and comes with the next', async () => {
  const folder = join(carried, 'nixmaker/receipts');
  await rm(folder, { recursive: true });
  await writeFile(folder, 'a file in the way');
  await put(await release('three', 2));
  await cp(desk, carried, { recursive: true });
  const taken = await once();
  assert.equal(taken.code, 0, taken.stderr);
  assert.equal(await runs(), 'three');
  assert.match(taken.stderr, /"event":"receipts-wait"|receipts-wait/);
  await rm(folder);
  await put(await release('four', 3));
  await cp(desk, carried, { recursive: true });
  await once();
  assert.equal(await runs(), 'four');
  assert.deepEqual(await receipts(), ['3.json', '4.json']);
  const collected = await cli('collect', carried, '-d', fleet);
  assert.match(collected.stdout, /^web +3 +done +new$/m);
});

test('a running agent notices what a carrier brings, without being told', async () => {
  const agent = await target.startAgent();
  await put(await release('five', 4));
  const staged = join(shop.folder, 'staged');
  await cp(desk, staged, { recursive: true });
  // Hosts last, as a careful carrier would; what comes before is nothing to look at.
  await cp(join(staged, 'nixmaker/cache'), join(carried, 'nixmaker/cache'), { recursive: true });
  await cp(join(staged, 'nixmaker/hosts'), join(carried, 'nixmaker/hosts'), { recursive: true });
  await agent.waitFor((line) => line.event === 'receipts-written' && JSON.stringify(line).includes('5.json'));
  assert.equal(await runs(), 'five');
  await agent.stop();
});

test('a pool altered in the middle is refused with its code, and what was not altered does no harm', async () => {
  await put(await release('six', 5, `six ${blob('six')}`));
  await cp(desk, carried, { recursive: true });
  const nars = join(carried, 'nixmaker/cache/nar');
  const path = join(nars, await largest(nars));
  const bytes = await readFile(path);
  bytes[1_000_000] = (bytes[1_000_000] ?? 0) ^ 1;
  await writeFile(path, bytes);
  const refused = await once();
  assert.equal(refused.code, 65, refused.stderr);
  assert.match(refused.stdout, /bundle-altered/);
  assert.equal(await runs(), 'five');
  const verified = await target.run(['nix-store', '--store', 'daemon', '--verify', '--check-contents']);
  assert.doesNotMatch(verified.stderr, /modified|disappeared|error:/);
  const told = await cli('collect', carried, '-d', fleet);
  assert.match(told.stdout, /^web +6 +refused +new$/m);
});

async function largest(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((e) => e.isFile());
  const names = files.map((e) => relative(folder, join(e.parentPath, e.name)));
  const sizes = await Promise.all(names.map(async (n) => (await stat(join(folder, n))).size));
  return names[sizes.indexOf(Math.max(...sizes))] ?? '';
}

test('a pool that goes while it is being read waits for its medium; it is neither refused nor held against the bundle', async () => {
  await put(await release('seven', 6, `seven ${blob('seven')}`));
  await rm(join(carried, 'nixmaker/hosts'), { recursive: true });
  await cp(desk, carried, { recursive: true });
  const nars = join(carried, 'nixmaker/cache/nar');
  const large = await largest(join(desk, 'nixmaker/cache/nar'));
  // It is there when the bundle is judged, and gone when it is read: as when a stick is pulled out in between. (Nix is
  // asked whose signatures it takes just before the import.)
  const shim = join(shop.folder, 'shim');
  await mkdir(shim, { recursive: true });
  const real = (await run('sh', ['-c', 'command -v nix'])).stdout.trim();
  const script = `#!/bin/sh\ncase " $* " in *" config show "*) mv '${join(nars, large)}' '${join(shop.folder, 'away')}' 2>/dev/null ;; esac\nexec '${real}' "$@"\n`;
  await writeFile(join(shim, 'nix'), script, { mode: 0o755 });
  const pulled = await target.verb('agent', ['--once', '--json'], {
    env: { PATH: `${shim}:${process.env.PATH}` },
  });
  assert.equal(pulled.code, 75, pulled.stderr);
  assert.match(pulled.stdout, /"state": "deferred"[\s\S]*"code": "medium-unreadable"/);
  assert.equal(await runs(), 'five');
  await rename(join(shop.folder, 'away'), join(nars, large));
  assert.equal((await once()).code, 0);
  assert.match(await runs(), /^seven /);
});
