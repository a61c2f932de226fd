/**
 * Bundles that an earlier test, or an earlier run, has built: the same flake gives the same bytes (test/desk/ has the test),
 * so one build of each does until nixmaker itself, Nix or the flake is another.
 */
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { compiled } from '../machines/compiled.ts';
import { run } from '../machines/program.ts';

export interface KeyPair {
  readonly secret: string;
  readonly public: string;
}

/** A key of Nix's kind that is the same in every run. */
function keyOf(name: string): KeyPair {
  const seed = createHash('sha256').update(`the tests' ${name}`).digest();
  // RFC 8410: an Ed25519 private key in PKCS #8 is this, and its 32 bytes.
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const key = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  const raw = Buffer.from(key.export({ format: 'jwk' }).x as string, 'base64url');
  return {
    secret: `${name}:${Buffer.concat([seed, raw]).toString('base64')}`,
    public: `${name}:${raw.toString('base64')}`,
  };
}

export const fleetKey = keyOf('fleet-1');

export interface Order {
  /** A folder. */
  readonly flake: string;
  /** What else decides about the bundle. */
  readonly words: readonly string[];
  /** Where it is to be. */
  readonly out: string;
}

let nix: string | undefined;

/** Which Nix builds: its version and where it lies. */
async function theNix(): Promise<string> {
  nix ??= `${(await run('sh', ['-c', 'command -v nix; nix --version'])).stdout}`;
  return nix;
}

async function digest({ flake, words }: Order): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([await theNix(), fleetKey.public, words]));
  for (const name of (await readdir(flake)).sort()) {
    const bytes = await readFile(join(await realpath(flake), name));
    hash.update(`${name} ${bytes.length}\n`).update(bytes);
  }
  return hash.digest('hex').slice(0, 32);
}

/** Makes what was ordered, or copies what was made of the same order before. */
export async function makeOrCopy(order: Order, make: () => Promise<void>): Promise<void> {
  // Beside the program that built them: another one builds anew.
  const kept = join(dirname(compiled), 'bundles');
  const place = join(kept, await digest(order));
  if (existsSync(place)) {
    await cp(place, order.out, { recursive: true });
    return;
  }
  await make();
  await mkdir(kept, { recursive: true });
  const copy = await mkdtemp(join(kept, 'making-'));
  await cp(order.out, copy, { recursive: true });
  // Another process may have been quicker; what it made is the same.
  await rename(copy, place).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    await rm(copy, { recursive: true });
  });
}
