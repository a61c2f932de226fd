/** Flakes for tests, made of the sample's own system.nix, in a folder that goes when the test file ends. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { type Builder, copySample, makeBuilder } from '../machines/builder.ts';
import { run } from '../machines/program.ts';

/** A folder for a whole test file. Nix makes its store read-only, so removing it takes a chmod. */
export async function makeWorkplace(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nixmaker-it-'));
  after(async () => {
    await run('chmod', ['--recursive', 'u+w', folder]);
    await rm(folder, { recursive: true, force: true });
  });
  return folder;
}

export interface FlakeOptions {
  /** Nix expressions by host, `mkSystem` and `self` in scope. Default: one plain system named `web`. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** Shell lines put into switch-to-configuration before it does anything. */
  readonly switchPrelude?: string;
}

export const plainHost = (hostName: string, motd = 'release 1') =>
  `mkSystem { hostName = "${hostName}"; motd = "${motd}"; }`;

export async function writeFlake(folder: string, options: FlakeOptions = {}): Promise<string> {
  await copySample(folder);
  if (options.switchPrelude !== undefined) {
    const path = join(folder, 'switch-to-configuration.sh');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('set -eu\n', `set -eu\n${options.switchPrelude}\n`));
  }
  const hosts = Object.entries(options.hosts ?? { web: plainHost('web') });
  await writeFile(
    join(folder, 'flake.nix'),
    `{
  description = "a fleet for tests";
  outputs = { self }: let mkSystem = import ./system.nix; in {
    nixosConfigurations = {
${hosts.map(([name, expression]) => `      "${name}" = ${expression};`).join('\n')}
    };
  };
}
`,
  );
  return folder;
}

export interface Keys {
  readonly secretFile: string;
  readonly publicKey: string;
}

export async function makeKeys(builder: Builder, folder: string, name: string): Promise<Keys> {
  const made = await builder.nixmaker(['keygen', name, '--out', folder]);
  if (made.code !== 0) throw new Error(made.stderr);
  return { secretFile: join(folder, `${name}.secret`), publicKey: made.stdout.trim() };
}

export interface Workshop {
  readonly folder: string;
  readonly builder: Builder;
  readonly keys: Keys;
  /** Builds a flake's host and returns its bundle. A name stands for one bundle: asked for again, it is the same. */
  bundle(name: string, options?: BundleOptions): Promise<string>;
}

export interface BundleOptions extends FlakeOptions {
  readonly args?: readonly string[];
  readonly host?: string;
}

/** A builder with a key: what most tests of the target begin with. */
export async function makeWorkshop(): Promise<Workshop> {
  const folder = await makeWorkplace();
  const builder = await makeBuilder(join(folder, 'builder'));
  const keys = await makeKeys(builder, folder, 'fleet-1');
  const build = async (name: string, { args = [], host = 'web', ...flake }: BundleOptions) => {
    const path = await writeFlake(join(folder, 'flakes', name), flake);
    const out = join(folder, 'out', name);
    const key = args.includes('--unsigned') ? [] : ['--key', keys.secretFile];
    const rest = args.filter((a) => a !== '--unsigned');
    const built = await builder.nixmaker([
      'build',
      '--flake',
      `path:${path}`,
      '--dir',
      out,
      '--host',
      host,
      ...key,
      ...rest,
    ]);
    if (built.code !== 0) throw new Error(built.stderr);
    return join(out, host, rest.includes('classic') ? `${host}.tar.gz` : `${host}.tar`);
  };
  const built = new Map<string, Promise<string>>();
  return {
    folder,
    builder,
    keys,
    bundle: (name, options = {}) => {
      const making = built.get(name) ?? build(name, options);
      built.set(name, making);
      return making;
    },
  };
}
