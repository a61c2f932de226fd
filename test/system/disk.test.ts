import assert from 'node:assert/strict';
import { copyFile, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { main } from '../machines/compiled.ts';
import { apart, nixSystem, run } from '../machines/program.ts';
import { makeTarget } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const mebi = 1024 * 1024;

const size = 64 * mebi;
const shop = await makeWorkshop();
const random = `derivation { name = "random"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin:/run/current-system/sw/bin"; args = [ "-c" "head -c ${size} /dev/urandom >$out" ]; }`;
const bundle = await shop.bundle('large', {
  hosts: { web: `mkSystem { hostName = "web"; motd = "carries \${${random}}"; }` },
});

interface Usage {
  readonly event: string;
  readonly code?: string;
  readonly before: number;
  readonly peak: number;
  readonly after: number;
  readonly samples: number;
  /** Of what was free, while it was watched. */
  readonly least: number;
  /** Of `squeeze`: what the try that found no room has left behind. */
  readonly left?: number;
}

/** Lets a target take the bundle on a file system of its own, of that many bytes. */
async function takeOn(name: string, bytes: number, ...more: readonly string[]): Promise<Usage> {
  const disk = join(shop.folder, name);
  const script = new URL('../machines/disk-usage.ts', import.meta.url).pathname;
  const mountThen = 'mkdir -p "$1" && mount -t tmpfs -o "size=$2" small "$1" && shift 2 && exec "$@"';
  const user = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const ran = await run('unshare', [
    ...['--mount', '--propagation', 'private', ...user, 'sh', '-euc', mountThen, 'sh', disk, String(bytes)],
    ...[process.execPath, script, disk, bundle, shop.keys.publicKey, ...more],
  ]);
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  return JSON.parse(ran.stdout) as Usage;
}

test('an import needs room for the bundle and the store paths, and for no copy of either', async () => {
  // A second copy of the bundle would not fit.
  const seen = await takeOn('small', 2 * size + 40 * mebi);
  assert.equal(seen.event, 'settled');
  assert.ok(seen.samples >= 5, `${seen.samples} samples`);
  assert.ok(seen.after - seen.before >= size, 'the system is in the store');
  // 12 MiB: Nix's reserved space and write-ahead log, our journal, the compiler cache of Node.
  assert.ok(
    seen.peak - seen.after < 12 * mebi,
    `at its peak ${seen.peak - seen.after} bytes more than in the end`,
  );
  assert.ok(
    seen.after - seen.before < size + 20 * mebi,
    `${seen.after - seen.before - size} bytes beside the system`,
  );
});

test('where the system will not fit, nothing of it is imported, and the bundle waits', async () => {
  const seen = await takeOn('too-small', 2 * size);
  assert.deepEqual([seen.event, seen.code], ['deferred', 'no-space']);
  assert.ok(seen.peak - seen.before < 12 * mebi, `${seen.peak - seen.before} bytes were written`);
});

test('a disk that fills up during the import leaves nothing half done, and the bundle is taken when there is room', async () => {
  const seen = await takeOn('filling', 3 * size, 'fill');
  assert.equal(seen.event, 'settled');
  assert.ok(seen.after - seen.before >= size, 'the system is in the store');
});

test('a disk that others fill during the import keeps its reserve, and nothing of what was begun stays on it', async () => {
  const seen = await takeOn('squeezed', 4 * size, 'squeeze');
  assert.equal(seen.event, 'settled');
  assert.ok(seen.least >= 48 * mebi, `${seen.least} bytes were free at least`);
  // Journal, database and its log, compiler cache.
  assert.ok((seen.left ?? size) < 12 * mebi, `${seen.left} bytes were left behind`);
});

test('a full disk while the profile is changed leaves the old system, and the bundle waits for room', async () => {
  const root = join(shop.folder, 'full-profile');
  const target = await makeTarget(root, { host: 'web', trustedKeys: [shop.keys.publicKey] });
  after(() => target.close());
  const release = (name: string, sequence: number) =>
    shop.bundle(name, { hosts: { web: plainHost('web', name) }, args: ['--sequence', String(sequence)] });
  assert.equal((await target.verb('switch', ['--tarball', await release('first', 0)])).code, 0);
  const old = await target.currentSystem();
  const loader = () => readFile(join(root, 'boot/loader/loader.conf'), 'utf8');
  const before = await loader();
  await copyFile(await release('second', 10), join(target.inbox, 'web.tar'));
  // A file system of its own for the profiles, with not one inode left.
  const image = join(root, 'profiles.ext4');
  const profiles = '/nix/var/nix/profiles';
  const made = await run('mke2fs', ['-q', '-t', 'ext4', '-N', '32', image, '4M']);
  assert.equal(made.code, 0, made.stderr);
  const script = `mkdir -p "$1/mnt"; mount -o loop "$1/profiles.ext4" "$1/mnt"; cp -a ${profiles}/. "$1/mnt/"; i=0
    if [ "$2" = full ]; then while touch "$1/mnt/filler-$i" 2>/dev/null; do i=$((i+1)); done; else rm -f "$1"/mnt/filler-*; fi
    mount --move "$1/mnt" ${profiles}; shift 2; code=0; "$@" || code=$?
    readlink ${profiles}/system; exit $code`;
  const command = [process.execPath, main, 'agent', '--once', '--json', '--settings', target.settingsFile];
  const full = await target.run([...apart, 'sh', '-uc', script, 'sh', root, 'full', ...command]);
  assert.match(full.stdout, /"code": "no-space"/, full.stdout + full.stderr);
  assert.match(full.stdout, /"state": "rolled-back"/);
  assert.match(full.stdout, /^system-1-link$/m);
  assert.equal(await target.currentSystem(), old);
  assert.equal(await loader(), before);
  assert.ok((await readdir(target.inbox)).includes('web.tar'), 'it waits');
  const roomy = await target.run([...apart, 'sh', '-uc', script, 'sh', root, 'roomy', ...command]);
  assert.match(roomy.stdout, /"state": "committed"/, roomy.stdout + roomy.stderr);
  assert.match(roomy.stdout, /^system-2-link$/m);
});

test('a daemon that dies in the middle of an import is waited for, and the import done over', async () => {
  const target = await makeTarget(join(shop.folder, 'dying-daemon'), {
    host: 'web',
    trustedKeys: [shop.keys.publicKey],
  });
  after(() => target.close());
  const agent = await target.startAgent();
  await copyFile(bundle, join(target.inbox, 'web.tar'));
  // Seen at work: the large path is being written, and is not valid yet.
  const found = await target.run([
    'sh',
    '-c',
    'for i in $(seq 600); do ls -d /nix/store/*-random >/dev/null 2>&1 && exit 0; sleep 0.01; done; exit 1',
  ]);
  assert.equal(found.code, 0);
  await target.killDaemon();
  await agent.waitFor((line) => line.event === 'deferred' && line.code === 'nix-unavailable');
  await target.startDaemon();
  await agent.waitFor((line) => line.event === 'committed', 60_000);
  await agent.stop();
  const verified = await target.run(['nix-store', '--verify', '--check-contents']);
  assert.doesNotMatch(verified.stderr, /modified|disappeared|error/);
});
