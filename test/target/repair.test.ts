/** Store paths that are damaged on disk while Nix’s database calls them valid: found by contents, and exchanged for whole ones. */
import assert from 'node:assert/strict';
import { chmod, cp, mkdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withBundleFile } from '../../src/bundle/file.ts';
import { authenticateBundle, openBundle } from '../../src/bundle/open.ts';
import { pieceName } from '../../src/core/release/contents-file.ts';
import type { PathInfo } from '../../src/core/release/path-info.ts';
import type { StorePath } from '../../src/core/store-path.ts';
import { withoutVerifying } from '../../src/desk/keys/read-release.ts';
import { standInOf } from '../../src/nix/contents.ts';
import { holdPaths } from '../../src/nix/roots.ts';
import { runProgram } from '../../src/process/run.ts';
import { startByHand } from '../machines/by-hand.ts';
import { killedRun, main } from '../machines/compiled.ts';
import { exchangingMv } from '../machines/exchanging.ts';
import type { Ran } from '../machines/program.ts';
import type { Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { keepTable } from '../support/out.ts';
import { released } from '../support/released.ts';
import { Targets } from '../support/targets.ts';

const shop = await makeWorkshop();
const targets = new Targets(shop);
const bundle = await targets.release('one');
const { paths, toplevel } = await released(bundle);
const base = paths.find(({ path }) => path.includes('-sample-base-'))?.path as string;
const own = await exchangingMv(join(shop.folder, 'bin'));

interface Repaired {
  readonly ok: boolean;
  readonly paths: number;
  readonly unsigned: number;
  readonly repaired: { path: string; what: string }[];
  readonly damaged: { path: string; what: string; detail?: string }[];
  readonly unusable: { file: string; code: string; detail: string }[];
}

const withMv = (target: Target) =>
  own === undefined ? {} : { env: { PATH: `${own}:${(target.env as { PATH: string }).PATH}` } };

async function repair(target: Target, ...args: string[]): Promise<Repaired & { ran: Ran }> {
  const ran = await target.verb('repair', ['--json', ...args], withMv(target));
  return { ...(JSON.parse(ran.stdout) as Repaired), ran };
}

const found = (damaged: Repaired['damaged']) => damaged.map(({ path, what }) => [path, what]);

const file = (target: Target, path: string, name = '') => join(target.root, path, name);

/** As a failing disk does it: whatever the modes say. */
async function damage(target: Target, place: string, how: (path: string) => Promise<void>): Promise<void> {
  const path = join(target.root, place);
  await chmod(join(path, '..'), 0o755);
  await how(path);
  await chmod(join(path, '..'), 0o555);
}

async function flip(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
  await writeFile(path, bytes);
}

/** One bit of the compressed contents of a path. */
async function spoilPiece(path: string, of: string): Promise<void> {
  const at = await withBundleFile(path, async (opened) => {
    const authenticated = await authenticateBundle(opened, withoutVerifying);
    const { index, pieces, positions } = await openBundle(opened, authenticated);
    const [piece] = pieces.get(index.paths().indexOf(of as StorePath)) ?? [];
    assert.ok(piece !== undefined);
    return (positions.get(pieceName(piece)) ?? 0) + piece.size - 8;
  });
  const bytes = await readFile(path);
  bytes[at] = (bytes[at] as number) ^ 1;
  await writeFile(path, bytes);
}

async function requireWhole(target: Target): Promise<void> {
  const verified = await target.run(['nix-store', '--verify', '--check-contents']);
  assert.doesNotMatch(verified.stderr, /modified|disappeared|error/, verified.stderr);
  const listed = await target.run([
    'sh',
    '-c',
    'ls -d /nix/store/*nixmaker-repair* /nix/store/tmp-* 2>/dev/null',
  ]);
  assert.equal(listed.stdout, '', 'nothing of a repair is left');
}

const damages: readonly (readonly [string, string, (path: string) => Promise<void>])[] = [
  ['a flipped bit', 'altered', flip],
  ['a file cut off', 'altered', (path) => truncate(path, 10)],
  ['a file that is gone', 'altered', (path) => rm(path)],
  ['a link in its place', 'altered', (path) => rm(path).then(() => symlink('kernel', path))],
  ['a folder that is gone', 'altered', (path) => rm(join(path, '..'), { recursive: true })],
  ['the whole path gone', 'missing', (path) => rm(join(path, '../..'), { recursive: true })],
];

test('each kind of damage is found by contents and repaired from the bundle', async () => {
  const { target } = await targets.running();
  for (const [name, what, how] of damages) {
    for (const folder of [file(target, base), file(target, base, 'share')]) await chmod(folder, 0o755);
    await how(file(target, base, 'share/manual'));
    const done = await repair(target, bundle);
    assert.equal(done.ran.code, 0, `${name}: ${done.ran.stderr}`);
    assert.deepEqual(found(done.repaired), [[base, what]], name);
    assert.deepEqual([done.ok, done.damaged, done.unsigned], [true, [], 0], name);
  }
  await requireWhole(target);
});

test('what a medium has in a pool repairs several at once; a person is told in words', async () => {
  const { target } = await targets.running();
  const stick = join(shop.folder, 'stick');
  await mkdir(stick);
  const put = await shop.builder.nixmaker(['put', stick, bundle]);
  assert.equal(put.code, 0, put.stderr);
  await damage(target, `${base}/lib/kernel`, flip);
  await damage(target, `${toplevel}/nixos-version`, flip);
  const doctor = await target.verb('doctor', ['--deep', '--json']);
  assert.equal(doctor.code, 1);
  assert.match(doctor.stdout, /"what": "2 store paths are damaged: [^"]*sample-base/);
  const without = await target.verb('repair', [], withMv(target));
  assert.equal(without.code, 1);
  assert.match(without.stdout, new RegExp(`^Damaged  ${base} \\(.*\\): altered$`, 'm'));
  assert.match(without.stderr, /nothing at hand has what would repair them\. \(store-corrupt\)/);
  const ran = await target.verb('repair', [stick], withMv(target));
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, new RegExp(`^Repaired ${base} \\(.*\\): altered$`, 'm'));
  assert.match(ran.stdout, /^All \d+ store paths of this machine’s systems are whole\.$/m);
  const healthy = await target.verb('doctor');
  assert.match(healthy.stdout, /contents +all \d+ store paths were whole at /);
  await requireWhole(target);
});

test('where the database is wrong, nothing is replaced, and it is not called damage of the contents', async () => {
  const { target } = await targets.running();
  const database = new DatabaseSync(join(target.root, 'nix/var/nix/db/db.sqlite'));
  database.prepare('update ValidPaths set hash = ? where path = ?').run(`sha256:${'ab'.repeat(32)}`, base);
  database.close();
  const alone = await repair(target);
  assert.deepEqual([alone.ran.code, found(alone.damaged)], [1, [[base, 'unknown']]]);
  const withBundle = await repair(target, bundle);
  assert.deepEqual([withBundle.ran.code, found(withBundle.damaged)], [1, [[base, 'database']]]);
  const doctor = await target.verb('doctor');
  assert.match(
    doctor.stdout,
    /LOOK {2}contents +\S+\s+\(.*\): as signed, but Nix’s database has another hash/,
  );
});

test('other people’s bundles, and those that are damaged as well, repair nothing; the next one does', async () => {
  const { target } = await targets.running();
  await damage(target, `${base}/lib/kernel`, flip);
  const other = await shop.bundle('other', {
    hosts: { db: 'mkSystem { hostName = "db"; motd = "x"; }' },
    host: 'db',
  });
  const folder = join(shop.folder, 'several');
  await mkdir(folder);
  await cp(other, join(folder, 'a.tar'));
  await cp(bundle, join(folder, 'b.tar'));
  await spoilPiece(join(folder, 'b.tar'), base);
  const none = await repair(target, folder);
  assert.deepEqual([none.ran.code, found(none.damaged)], [1, [[base, 'altered']]]);
  assert.deepEqual(
    none.unusable.map(({ file: name, code }) => [basename(name), code]),
    [
      ['a.tar', 'wrong-host'],
      ['b.tar', 'bundle-altered'],
    ],
  );
  assert.match(none.unusable[1]?.detail ?? '', new RegExp(`^${base}: `));
  await cp(bundle, join(folder, 'c.tar'));
  assert.equal((await repair(target, folder)).ran.code, 0);
  await requireWhole(target);
});

test('files that many paths share are linked to the damage no more', async () => {
  const { target } = await targets.running({ nixConf: 'auto-optimise-store = true' });
  const optimised = await target.run(['nix', 'store', 'optimise', '--store', 'daemon']);
  assert.equal(optimised.code, 0, optimised.stderr);
  await damage(target, `${base}/share/manual`, flip);
  const done = await repair(target, bundle);
  assert.equal(done.ran.code, 0, JSON.stringify(done));
  assert.deepEqual(found(done.repaired), [[base, 'altered']]);
  await requireWhole(target);
});

/** Nix links whatever has these contents to the damage, until the first replacement, which is damaged too, is gone. */
test('a replacement that is held for a moment longer is waited for, so that the next one is whole', async () => {
  const { target } = await targets.running({ nixConf: 'auto-optimise-store = true' });
  assert.equal((await target.run(['nix', 'store', 'optimise', '--store', 'daemon'])).code, 0);
  await damage(target, `${base}/share/manual`, flip);
  const socket = join(target.root, 'nix/var/nix/daemon-socket/socket');
  const { path: standIn } = standInOf(paths.find(({ path }) => path === base) as PathInfo);
  const { release: letGo } = await holdPaths({ run: runProgram, daemonSocket: socket }, [standIn]);
  const call = ['repair', '--verbose', '--settings', target.settingsFile, bundle];
  const { PATH = '' } = withMv(target).env ?? target.env;
  const job = startByHand(target, ['env', `PATH=${PATH}`, process.execPath, main, ...call]);
  let isOver = false;
  void job.ended.then(() => {
    isOver = true;
  });
  while (!isOver && !job.saidSoFar().includes('replacement-held')) await sleep(20);
  letGo();
  const { code, stderr } = await job.ended;
  assert.equal(code, 0, stderr);
  await requireWhole(target);
});

const automatic = { policy: { repair: 'automatic' } };

/** The release that runs is in the inbox’s folder of those that were taken. */
async function machineWithKept(): Promise<Target> {
  const { target } = await targets.running(automatic);
  await mkdir(join(target.inbox, 'done'), { recursive: true });
  await cp(bundle, join(target.inbox, 'done/web.tar'));
  return target;
}

const check = async (target: Target) => {
  const ran = await target.verb('check-store');
  assert.equal(ran.code, 0, ran.stderr);
  return JSON.parse(await readFile(join(target.stateDirectory, 'contents.json'), 'utf8'));
};

test('with `repair: automatic` the agent repairs from what is at hand, and the receipt says what is not', async () => {
  const target = await machineWithKept();
  await damage(target, `${base}/lib/kernel`, flip);
  assert.deepEqual(found((await check(target)).damaged), [[base, 'altered']]);
  assert.equal((await target.verb('agent', ['--once'], withMv(target))).code, 0);
  await requireWhole(target);
  const { damaged, paths: read } = JSON.parse(
    await readFile(join(target.stateDirectory, 'contents.json'), 'utf8'),
  );
  assert.deepEqual([damaged, read], [[], paths.length]);
  // Within the week nothing is read again.
  await damage(target, `${base}/lib/kernel`, flip);
  assert.deepEqual((await check(target)).damaged, []);
});

/** Before each program that changes or flushes something, and behind the exchange. */
const steps = [
  { when: 'starting', argument: '--file-system' },
  { when: 'starting', argument: '--exchange' },
  { when: 'started', argument: '--exchange' },
  { when: 'starting', argument: 'delete' },
] as const;

test('killed at any step, the path is the old or the new one, whole, and the next run finishes', async () => {
  const rows: Record<string, unknown>[] = [];
  for (const { when, argument } of steps) {
    const target = await machineWithKept();
    await damage(target, `${base}/lib/kernel`, flip);
    await check(target);
    const hash = async () =>
      (await target.run(['nix-hash', '--type', 'sha256', '--base32', base])).stdout.trim();
    const [old, whole] = [
      await hash(),
      paths.find(({ path }) => path === base)?.narHash.slice('sha256:'.length),
    ];
    const killed = await target.run(
      [process.execPath, killedRun, target.settingsFile, when, argument],
      withMv(target),
    );
    assert.equal(killed.signal ?? killed.code, 'SIGKILL', killed.stderr);
    const between = await hash();
    assert.ok(between === old || between === whole, 'neither the old nor the new');
    assert.equal((await target.verb('agent', ['--once'], withMv(target))).code, 0);
    assert.equal(await hash(), whole);
    await target.run(['nix-collect-garbage']);
    await requireWhole(target);
    rows.push({ when, at: argument, found: between === whole ? 'new' : 'old', after: 'whole' });
  }
  assert.deepEqual([...new Set(rows.map((row) => row.found))], ['old', 'new']);
  await keepTable('repair-kills', { cases: rows });
});
