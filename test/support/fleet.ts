/** Flakes for tests, made of the sample's own system.nix, in a folder that goes when the test file ends. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { generateKeyPair } from '../../src/signing/nix-key.ts';
import { type Builder, copySample, makeBuilder } from '../machines/builder.ts';
import { run } from '../machines/program.ts';
import { readKey, resigned, takeApart } from './forge.ts';
import { fleetKey, type KeyPair, makeOrCopy } from './kept-bundles.ts';

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

/** Keys as `nixmaker keygen` writes them. */
async function writeKeys(folder: string, name: string, pair: KeyPair): Promise<Keys> {
  await mkdir(folder, { recursive: true });
  const secretFile = join(folder, `${name}.secret`);
  await writeFile(secretFile, `${pair.secret}\n`, { mode: 0o600, flag: 'wx' });
  await writeFile(join(folder, `${name}.public`), `${pair.public}\n`);
  return { secretFile, publicKey: pair.public };
}

export const makeKeys = (folder: string, name: string): Promise<Keys> =>
  writeKeys(folder, name, generateKeyPair(name));

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
  /** For tests that look into the builder's store: built here and now. */
  readonly keptFrom?: 'nowhere';
}

/** One build does for all sequences: signed again, it is byte for byte what a build would write (test/desk/sequences.test.ts). */
async function resequence(file: string, sequence: number, { secretFile }: Keys): Promise<void> {
  const kit = { good: await takeApart(file), trusted: await readKey(secretFile) };
  await writeFile(file, resigned(kit, { sequence }));
}

/** A builder with a key: what most tests of the target begin with. */
export async function makeWorkshop(): Promise<Workshop> {
  const folder = await makeWorkplace();
  const builder = await makeBuilder(join(folder, 'builder'));
  const keys = await writeKeys(folder, 'fleet-1', fleetKey);
  let opening: Promise<unknown> | undefined;
  const build = async (name: string, { args = [], host = 'web', keptFrom, ...flake }: BundleOptions) => {
    const path = await writeFlake(join(folder, 'flakes', name), flake);
    const out = join(folder, 'out', name);
    const rest = args.filter((a) => a !== '--unsigned');
    const key = args.includes('--unsigned') ? [] : ['--key', keys.secretFile];
    const make = async (more = rest) => {
      const call = ['build', '--flake', `path:${path}`, '--dir', out, '--host', host, ...key, ...more];
      // Two programs of Nix that open a new store at once may each find a schema that is half written.
      await opening;
      const running = builder.nixmaker(call);
      opening ??= running;
      const ran = await running;
      if (ran.code !== 0) throw new Error(ran.stderr);
    };
    const file = join(out, host, rest.includes('classic') ? `${host}.tar.gz` : `${host}.tar`);
    // What is in a file beside the flake is not known here.
    if (keptFrom === 'nowhere' || args.some((a) => a.includes('/'))) await make();
    else if (args.length === 2 && /^--sequence \d{1,15}$/.test(args.join(' '))) {
      await makeOrCopy({ flake: path, words: [host], out }, () => make([]));
      await resequence(file, Number(args[1]) + 1, keys);
    } else await makeOrCopy({ flake: path, words: [host, ...args], out }, make);
    return file;
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
