/** Places where a desk can’t write, or not all that it would: what is said, and that nothing half done stays. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs, { mkdir, readdir, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeStaging } from '../../src/desk/build/staging.ts';
import { main } from '../machines/compiled.ts';
import { temporaryFolder, writeTestBundle } from '../support/bundles.ts';
import { makeDesk } from '../support/desk.ts';
import { plainHost, writeFlake } from '../support/fleet.ts';

const { builder, folder, keys } = await makeDesk();
const flake = await writeFlake(join(folder, 'flake'), { hosts: { web: plainHost('web') } });
const nixmaker = [process.execPath, main];

/** A file system of its own in the place of a folder, for a script in which it is `$0`. */
async function on(name: string, options: string, [script, ...args]: readonly [string, ...string[]]) {
  const place = join(folder, name);
  await mkdir(place);
  const whole = `mount -t tmpfs -o ${options} t "$0"; ${script}`;
  return builder.run(['sh', '-c', whole, place, ...args]);
}

test('a place that is read-only is said to be, whatever is asked for', async () => {
  const bundle = join(folder, 'web.tar');
  await writeTestBundle(bundle, {});
  for (const [i, [verb, code]] of (
    [
      ['keygen new --out "$0/keys"', 'no-access'],
      [`build -f path:${flake} -d "$0/out"`, 'no-access'],
      [`put "$0" ${bundle}`, 'medium-read-only'],
    ] as const
  ).entries()) {
    const ran = await on(`read-only-${i}`, 'ro,size=64k', [`exec "$@" ${verb}`, ...nixmaker]);
    assert.equal(ran.code, 1, `${verb}: ${ran.stdout}${ran.stderr}`);
    assert.match(
      ran.stderr,
      code === 'no-access'
        ? /the file system is read-only\n.*\(no-access\)/s
        : /EROFS\n.*\(medium-read-only\)/s,
    );
  }
});

test('keygen on a full disk leaves neither half, and makes both when there is room', async () => {
  const fill = 'dd if=/dev/zero of="$0/fill" bs=4k 2>/dev/null';
  const script = `${fill}; "$@" keygen new --out "$0"; echo $?; ls "$0"; rm "$0/fill"; "$@" keygen new --out "$0" >&2; ls "$0"`;
  const ran = await on('full', 'size=64k', [script, ...nixmaker]);
  assert.equal(ran.stdout, '75\nfill\nnew.public\nnew.secret\n', ran.stderr);
  assert.match(ran.stderr, /cannot write \S+new\.secret: ENOSPC.*\n.*\(no-space\)/s);
});

test('a build into a full folder says so, without the Nix store', async () => {
  const script = `dd if=/dev/zero of="$0/fill" bs=4k 2>/dev/null; exec "$@" build -f path:${flake} -d "$0" --key ${keys.secretFile}`;
  const ran = await on('full-out', 'size=256k', [script, ...nixmaker]);
  assert.notEqual(ran.code, 0);
  assert.match(ran.stdout + ran.stderr, /no-space/, ran.stderr);
  assert.doesNotMatch(ran.stderr, /internal|^ +at /m);
});

test('where a file system has no symbolic links, Nix’s roots are elsewhere for as long as the run', async (t) => {
  const place = await temporaryFolder(t);
  const refused = t.mock.method(fs, 'symlink', async () => {
    throw Object.assign(new Error('no links'), { code: 'EPERM', errno: -1, syscall: 'symlink' });
  });
  syncBuiltinESMExports();
  t.after(() => {
    refused.mock.restore();
    syncBuiltinESMExports();
  });
  const { path, links, clear } = await makeStaging(place, assert.fail);
  assert.ok(!links.startsWith(place), links);
  await writeFile(join(links, 'result-web'), '');
  assert.deepEqual(await readdir(path), ['.nixmaker.lock']);
  await clear();
  await assert.rejects(readdir(links), { code: 'ENOENT' });
  assert.deepEqual(await readdir(place), []);
});

test('a staging folder goes when its lock is open nowhere: NFS and FUSE would keep both', async (t) => {
  const place = await temporaryFolder(t);
  const { path, clear } = await makeStaging(place, assert.fail);
  await writeFile(join(path, 'work'), '');
  const real = fs.rm;
  const open: boolean[] = [];
  const removing = t.mock.method(fs, 'rm', async (name: string, options: object) => {
    // Whoever has it open, we or whoever holds it for us (proc_pid_fd(5)).
    const holders = execFileSync('sh', ['-c', 'ls -l /proc/[0-9]*/fd 2>/dev/null || true'], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    });
    if (name === path || name === join(path, '.nixmaker.lock'))
      open.push(holders.includes(join(path, '.nixmaker.lock')));
    return real(name, options);
  });
  syncBuiltinESMExports();
  t.after(() => {
    removing.mock.restore();
    syncBuiltinESMExports();
  });
  await clear();
  assert.deepEqual([open, await readdir(place)], [[false], []]);
});
