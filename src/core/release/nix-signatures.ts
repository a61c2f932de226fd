/**
 * `nix.sig`: signatures for Nix’s own check of store paths: for each key its name, then one line per path in the index that is
 * not named after its contents. Neither signed nor secret: Nix judges what a signature is worth. It may be empty, and may be added
 * to a release that is already signed.
 */
import { isKeyName } from '../key-name.ts';
import { limits } from '../limits.ts';
import type { ReleaseIndex } from './index-file.ts';
import { malformed } from './lines.ts';

const source = { code: 'bundle-malformed', name: 'nix.sig' } as const;
/** 64 bytes in base 64. */
const signatureLength = 88;
const lineLength = signatureLength + 1;
/** The last letter before the padding holds two bits of the 64 bytes, and four that must be 0: one value, one spelling. */
const signatures = /^(?:[A-Za-z0-9+/]{85}[AQgw]==\n)*$/;
/** Matched in one go: a repeating pattern remembers everything it could backtrack to. */
const portion = 1000 * lineLength;
/** Threat: endless names, if no path needs a signature. */
const mostKeys = 64;
/** The longest name (key-name.ts) and its newline. */
const nameBytes = 128;
const newline = 0x0a;

interface KeyBlock {
  readonly name: string;
  /** Where its first signature begins. */
  readonly start: number;
}

export class NixSignatures {
  readonly bytes: Buffer;
  readonly #index: ReleaseIndex;
  readonly #blocks: readonly KeyBlock[];
  /** Signatures in a block before each line’s. */
  #ordinals: Uint32Array | undefined;

  private constructor(bytes: Buffer, index: ReleaseIndex, blocks: readonly KeyBlock[]) {
    this.bytes = bytes;
    this.#index = index;
    this.#blocks = blocks;
  }

  /** The most bytes it can have: for each key a name, and a signature for each line that needs one. */
  static most(index: ReleaseIndex): number {
    return Math.min(limits.nixSignatureBytes, mostKeys * (nameBytes + signedLines(index) * lineLength));
  }

  /** @throws NixmakerError `bundle-malformed` */
  static parse(bytes: Buffer, index: ReleaseIndex): NixSignatures {
    const most = NixSignatures.most(index);
    if (bytes.length > most) malformed(source, `it has ${bytes.length} bytes; the limit is ${most}`);
    const blocks: KeyBlock[] = [];
    const blockLength = signedLines(index) * lineLength;
    for (let at = 0; at < bytes.length; ) {
      const start = bytes.indexOf(newline, at) + 1;
      const name = bytes.toString('latin1', at, Math.max(at, start - 1));
      if (blocks.length === mostKeys) malformed(source, `it has more than ${mostKeys} keys`);
      if (!isKeyName(name) || blocks.some((b) => b.name === name))
        malformed(source, 'a block does not begin with a new key name');
      at = start + blockLength;
      if (at > bytes.length || !areSignatures(bytes, start, at))
        malformed(
          source,
          `the block for “${name}” does not have exactly one signature for each path that needs one`,
        );
      blocks.push({ name, start });
    }
    return new NixSignatures(bytes, index, blocks);
  }

  get keyNames(): readonly string[] {
    return this.#blocks.map((b) => b.name);
  }

  /** As in narinfos, `name:base64`; none for what is named after its contents. */
  of(line: number): readonly string[] {
    if (this.#blocks.length === 0 || this.#index.isContentAddressed(line)) return [];
    this.#ordinals ??= ordinalsOf(this.#index);
    const offset = (this.#ordinals[line] as number) * lineLength;
    return this.#blocks.map(({ name, start }) => {
      const at = start + offset;
      return `${name}:${this.bytes.toString('latin1', at, at + signatureLength)}`;
    });
  }

  /** The text of one key’s block. */
  blockOf(name: string): string | undefined {
    const found = this.#blocks.find((b) => b.name === name);
    if (found === undefined) return undefined;
    const end = found.start + signedLines(this.#index) * lineLength;
    return `${name}\n${this.bytes.toString('latin1', found.start, end)}`;
  }
}

function areSignatures(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += portion)
    if (!signatures.test(bytes.toString('latin1', at, Math.min(at + portion, end)))) return false;
  return true;
}

function signedLines(index: ReleaseIndex): number {
  let count = 0;
  for (let line = 0; line < index.length; line++) if (!index.isContentAddressed(line)) count += 1;
  return count;
}

function ordinalsOf(index: ReleaseIndex): Uint32Array {
  const ordinals = new Uint32Array(index.length);
  let count = 0;
  for (let line = 0; line < index.length; line++) {
    ordinals[line] = count;
    if (!index.isContentAddressed(line)) count += 1;
  }
  return ordinals;
}

/** One key’s block. @param sign `name:base64`, in Nix’s form */
export function encodeKeyBlock(index: ReleaseIndex, name: string, sign: (line: number) => string): string {
  const lines = [name];
  for (let line = 0; line < index.length; line++)
    if (!index.isContentAddressed(line)) lines.push(sign(line).slice(name.length + 1));
  return `${lines.join('\n')}\n`;
}

/** The blocks of both; for a key in both, the second’s. */
export function mergeNixSignatures(first: NixSignatures, second: NixSignatures): Buffer {
  const names = [...new Set([...first.keyNames, ...second.keyNames])];
  return Buffer.from(names.map((name) => second.blockOf(name) ?? first.blockOf(name)).join(''), 'latin1');
}
