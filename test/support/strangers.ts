/** What a local user who is nobody special can do to a target’s store, with a key that Nix trusts. */
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Target } from '../machines/sandboxed-target.ts';
import { type Foreign, foreignCache } from './foreign-path.ts';

/** A stranger’s system: its program says that it ran. */
export async function strangersSystem(target: Target): Promise<string> {
  const folder = join(target.root, 'strangers');
  await mkdir(join(folder, 'bin'), { recursive: true });
  await writeFile(join(folder, 'nixos-version'), 'strange');
  await writeFile(join(folder, 'bin/switch-to-configuration'), `#!/bin/sh\ntouch ${target.root}/strange\n`);
  await chmod(join(folder, 'bin/switch-to-configuration'), 0o755);
  return folder;
}

/** As any local user could: `nix copy` through the daemon. */
export async function bring(target: Target, foreign: Foreign): Promise<void> {
  const folder = await mkdtemp(join(target.root, 'cache-'));
  await foreignCache(folder, [foreign]);
  const args = ['copy', '--no-recursive', '--from', `file://${folder}`, '--to', 'daemon', foreign.path];
  const ran = await target.run(['nix', ...args]);
  assert.equal(ran.code, 0, ran.stderr);
}

/** A root, which any user may make. */
export async function hold(target: Target, path: string): Promise<void> {
  const args = ['--store', 'daemon', '--realise', path, '--add-root', join(target.root, 'held')];
  const ran = await target.run(['nix-store', ...args]);
  assert.equal(ran.code, 0, ran.stderr);
}
