/**
 * Signatures that earlier builds made of store paths, so that a release signs what is new in it. An Ed25519 signature of the same words
 * is always the same (RFC 8032), so keeping it adds nothing and nobody can tell; every bundle carries them anyway. One file for each key,
 * with the newest release’s and some older ones: a line with its version, the checksum of what follows, and a line for each.
 *
 * Threat: a disk that flips bits, which the checksum is for; Nix on the target would refuse a path that is signed wrongly. Whoever can
 * write to this user’s files can do worse.
 */
import { createHash, hash } from 'node:crypto';
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fingerprint } from '../../core/bundle/narinfo.ts';
import { insteadOf } from '../../core/errno.ts';
import type { PathInfo } from '../../core/release/path-info.ts';
import { namesIn } from '../../files/read.ts';
import { writeBeside } from '../../files/write.ts';
import type { PublicKey } from '../../signing/nix-key.ts';

const header = 'nixmaker-signatures 1';
/** SHA-256 of what is signed, and 64 bytes, in base 64. */
const form = /^(?:[A-Za-z0-9+/]{43}= [A-Za-z0-9+/]{86}==\n)*$/;
const [nameLength, lineLength] = [44, 134];
/** Beside those of the newest release; all are read on every build. */
const mostUnused = 20_000;
const mostKeys = 8;
const prefix = 'signatures-';

type Signed = Pick<PathInfo, 'path' | 'narHash' | 'narSize' | 'references'>;

export class KeptSignatures {
  readonly #folder: string;
  readonly #file: string;
  /** Those used last come last. */
  readonly #known: Map<string, string>;
  readonly #used = new Map<string, string>();
  #isNew = false;

  private constructor(folder: string, file: string, known: Map<string, string>) {
    this.#folder = folder;
    this.#file = file;
    this.#known = known;
  }

  /** @param folder our own */
  static async open(folder: string, { name, material }: PublicKey): Promise<KeptSignatures> {
    const file = `${prefix}${hash('sha256', `${name}:${material}`).slice(0, 32)}`;
    // What can’t be read is made anew.
    const unreadable = insteadOf(['ENOENT', 'EACCES', 'EIO'], '');
    const text = await readFile(join(folder, file), 'latin1').catch(unreadable);
    return new KeptSignatures(folder, file, readSignatures(text));
  }

  /** @param sign makes it, in base 64 @returns the same, made now or earlier */
  of(info: Signed, sign: (message: Buffer) => string): string {
    const message = Buffer.from(fingerprint(info));
    const name = hash('sha256', message, 'base64');
    const known = this.#known.get(name);
    const signature = known ?? sign(message);
    this.#isNew ||= known === undefined;
    this.#used.set(name, signature);
    return signature;
  }

  async close(): Promise<void> {
    if (!this.#isNew) return;
    const unused = [...this.#known].filter(([name]) => !this.#used.has(name));
    const text = encodeSignatures([...unused.slice(-mostUnused), ...this.#used]);
    // Another build may be doing the same.
    await writeBeside(join(this.#folder, this.#file), (out) => out.writeFile(text, 'latin1')).catch(
      insteadOf(['EEXIST', 'ENOENT'], undefined),
    );
    await this.#prune();
  }

  async #prune(): Promise<void> {
    const files: { readonly path: string; readonly time: number }[] = [];
    for (const name of await namesIn(this.#folder)) {
      const path = join(this.#folder, name);
      const found = name.startsWith(prefix) ? await stat(path).catch(() => undefined) : undefined;
      if (found !== undefined) files.push({ path, time: found.mtimeMs });
    }
    for (const { path } of files.sort((a, b) => b.time - a.time).slice(mostKeys))
      await rm(path, { force: true });
  }
}

const sumOf = (text: string): string => createHash('sha256').update(text, 'latin1').digest('hex');

function encodeSignatures(signatures: Iterable<readonly [string, string]>): string {
  const text = Array.from(signatures, ([name, signature]) => `${name} ${signature}\n`).join('');
  return `${header}\n${sumOf(text)}\n${text}`;
}

/** None, if it is damaged or something else. */
function readSignatures(text: string): Map<string, string> {
  const known = new Map<string, string>();
  const start = header.length + 1 + 64 + 1;
  const lines = text.slice(start);
  if (text.slice(0, start) !== `${header}\n${sumOf(lines)}\n` || lines.length % lineLength !== 0)
    return known;
  for (let at = 0; at < lines.length; at += lineLength) {
    const line = lines.slice(at, at + lineLength);
    if (!form.test(line)) return new Map();
    known.set(line.slice(0, nameLength), line.slice(nameLength + 1, -1));
  }
  return known;
}
