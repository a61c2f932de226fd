/** A desk in a folder: the command line on a Nix store of its own. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { main } from './compiled.ts';
import { Namespace } from './namespace.ts';
import { checkout, nixSystem, type Ran, type RunOptions } from './program.ts';

/** The sample flake, its machines of this machine's kind. */
export async function copySample(folder: string): Promise<void> {
  await cp(join(checkout, 'sample'), folder, { recursive: true });
  const path = join(folder, 'system.nix');
  await writeFile(path, (await readFile(path, 'utf8')).replace('"x86_64-linux"', `"${nixSystem}"`));
}

export interface Builder {
  nixmaker(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Any program in the builder's namespace. */
  run(command: readonly string[], options?: RunOptions): Promise<Ran>;
}

export const nixConf = (extra: string) => `experimental-features = nix-command flakes
build-users-group =
sandbox = false
filter-syscalls = false
build-hook =
substituters =
connect-timeout = 2
warn-dirty = false
${extra}`;

export async function makeBuilder(root: string): Promise<Builder> {
  await mkdir(join(root, 'etc'), { recursive: true });
  await writeFile(join(root, 'etc', 'nix.conf'), nixConf(''));
  const namespace = await Namespace.open(root);
  const inside = (command: readonly string[], options: RunOptions = {}) =>
    namespace.run(command, {
      ...options,
      env: { NIX_CONF_DIR: join(root, 'etc'), XDG_CACHE_HOME: join(root, 'cache'), ...options.env },
    });
  return { run: inside, nixmaker: (args, options) => inside([process.execPath, main, ...args], options) };
}
