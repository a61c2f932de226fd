import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { nixSystem, run } from '../../scripts/sandboxed-target.ts';
import { makeWorkshop } from '../support/fleet.ts';

const mebi = 1024 * 1024;

test('an import needs room for the bundle and the store paths, and for no copy of either', async () => {
  // The target lives on a file system of its own that a second copy of the bundle would not fit on.
  const shop = await makeWorkshop();
  const size = 64 * mebi;
  const random = `derivation { name = "random"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin:/run/current-system/sw/bin"; args = [ "-c" "head -c ${size} /dev/urandom >$out" ]; }`;
  const web = `mkSystem { hostName = "web"; motd = "carries \${${random}}"; }`;
  const bundle = await shop.bundle('large', { hosts: { web } });
  const script = new URL('../support/disk-usage.ts', import.meta.url).pathname;
  const ran = await run('unshare', [
    '--mount',
    '--propagation',
    'private',
    ...(process.getuid?.() === 0 ? [] : ['--map-root-user']),
    'sh',
    '-euc',
    'mkdir -p "$1" && mount -t tmpfs -o "size=$2" small "$1" && shift 2 && exec "$@"',
    'sh',
    join(shop.folder, 'small'),
    String(2 * size + 40 * mebi),
    process.execPath,
    script,
    join(shop.folder, 'small'),
    bundle,
    shop.keys.publicKey,
  ]);
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  const seen = JSON.parse(ran.stdout) as {
    state: string;
    before: number;
    peak: number;
    after: number;
    samples: number;
  };
  assert.equal(seen.state, 'committed');
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
