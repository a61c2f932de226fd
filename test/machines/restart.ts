/** What a restart does to a machine in a sandbox: /run is empty, and the boot loader’s default has been booted. */

import assert from 'node:assert/strict';
import { readdir, readlink, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { defaultSystem, offeredSystems } from './boot-menu.ts';
import { asBootedMain } from './compiled.ts';
import type { Ran } from './program.ts';
import type { Target } from './sandboxed-target.ts';

/** @param generation another than the default, as a person or a boot loader that counts tries would choose it */
export async function restart(target: Target, generation?: number): Promise<string> {
  const at = (path: string) => join(target.root, path);
  for (const name of await readdir(at('run')))
    await rm(join(at('run'), name), { recursive: true, force: true });
  const chosen =
    generation === undefined
      ? await defaultSystem(target.root)
      : await readlink(at(`nix/var/nix/profiles/system-${generation}-link`));
  const system = (await offeredSystems(target.root)).find((s) => s === chosen) ?? '';
  const booted = await target.run(['test', '-x', `${system}/init`]);
  assert.equal(booted.code, 0, `the boot loader’s choice, ${system}, can’t be booted`);
  await symlink(system, at('run/booted-system'));
  await symlink(system, at('run/current-system'));
  return system;
}

/** A verb in a boot of that name: `agent` (once), `confirm`, or an operation with a bundle. Prints receipts as JSON. */
export function asBooted(target: Target, boot: string, ...command: readonly string[]): Promise<Ran> {
  return target.run([process.execPath, asBootedMain, boot, target.settingsFile, ...command]);
}
