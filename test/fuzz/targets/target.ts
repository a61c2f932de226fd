/** What the fuzzer drives: one reader, or a few that belong together, with what must hold of whatever they are given. */
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseSecretKey, type SecretKey } from '../../../src/signing/nix-key.ts';
import type { Mutation } from '../mutations/bytes.ts';

export interface Target {
  readonly name: string;
  /** The exported functions and methods that are met, as `folder/file.ts name` below src/: test/project/fuzzed.test.ts goes by it. */
  readonly readers: readonly string[];
  /** What is good, or nearly so. The same on every run, or a corpus is worth nothing. */
  readonly seeds: () => readonly Buffer[] | Promise<readonly Buffer[]>;
  readonly mutate: Mutation;
  /** @throws NixmakerError where it is refused; anything else is a finding, an assertion that does not hold as well */
  readonly run: (data: Buffer) => unknown;
}

/** A key that is the same on every run. For tests: its secret is here. */
export function fixedKey(name: string): SecretKey & { readonly publicText: string; readonly raw: Buffer } {
  const seed = createHash('sha256').update(`nixmaker fuzz ${name}`).digest();
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const raw = createPublicKey(createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }))
    .export({ format: 'der', type: 'spki' })
    .subarray(-32);
  const secret = parseSecretKey(`${name}:${Buffer.concat([seed, raw]).toString('base64')}`);
  return { ...secret, publicText: `${name}:${raw.toString('base64')}`, raw };
}

export const firstKey = fixedKey('first-1');
export const secondKey = fixedKey('second-1');

/** A folder for readers that take files; gone when the process ends. */
export const scratch: string = mkdtempSync(join(tmpdir(), 'nixmaker-fuzz-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

export const buffers = (...texts: readonly string[]): Buffer[] => texts.map((t) => Buffer.from(t));

/** Two parts in one input: a message and a signature. Text of either holds no such line. */
export function halves(data: Buffer): [Buffer, Buffer] {
  const at = data.indexOf('\n~~\n');
  return at < 0 ? [data, Buffer.alloc(0)] : [data.subarray(0, at), data.subarray(at + 4)];
}

export const joined = (a: string | Buffer, b: string | Buffer): Buffer =>
  Buffer.concat([Buffer.from(a as string), Buffer.from('\n~~\n'), Buffer.from(b as string)]);

/** The input as a file of this name, in a folder of its own. @returns the folder */
export function fileWith(name: string, data: Buffer | string): string {
  const folder = join(scratch, name.replace(/\W/g, '-'));
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), data);
  return folder;
}

/** JSON in front of which a checksum is right: what a checksum does not keep out. */
export const sealed = (data: Buffer): Buffer => {
  const sum = createHash('sha256').update(data).digest('hex').slice(0, 16);
  return Buffer.concat([Buffer.from(`${sum} `), data, Buffer.from('\n')]);
};
