import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { nixSystem, run } from '../../scripts/sandboxed-target.ts';
import { makeWorkshop } from '../support/fleet.ts';

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
}

/** Lets a target take the bundle on a file system of its own, of that many bytes. */
async function takeOn(name: string, bytes: number): Promise<Usage> {
  const disk = join(shop.folder, name);
  const script = new URL('../support/disk-usage.ts', import.meta.url).pathname;
  const mountThen = 'mkdir -p "$1" && mount -t tmpfs -o "size=$2" small "$1" && shift 2 && exec "$@"';
  const user = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const ran = await run('unshare', [
    ...['--mount', '--propagation', 'private', ...user, 'sh', '-euc', mountThen, 'sh', disk, String(bytes)],
    ...[process.execPath, script, disk, bundle, shop.keys.publicKey],
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
