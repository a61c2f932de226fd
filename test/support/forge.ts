/**
 * What an attacker’s tools would be: a bundle taken apart, and put together again in any way, header by header. Nothing
 * of it goes through nixmaker’s own writer, which would refuse to write most of it.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { encodeManifest, type ManifestInput } from '../../src/core/release/manifest.ts';
import { parseSecretKey, type SecretKey } from '../../src/signing/nix-key.ts';
import { signManifest } from '../../src/signing/signature-file.ts';

/** What is different from the header that a genuine bundle would have there. */
export interface HeaderChange {
  readonly name?: string;
  readonly mode?: number;
  readonly uid?: number;
  /** ustar’s typeflag: `0` a file, `1` a hard link, `2` a symbolic link, `3` and `4` devices, `6` a FIFO, `x` PAX, `L` GNU. */
  readonly type?: string;
  readonly link?: string;
  readonly magic?: string;
  /** The twelve bytes of the size field, as they are. */
  readonly sizeField?: Buffer;
  /** A wrong checksum. */
  readonly checksum?: number;
}

let genuine: Buffer | undefined;

/**
 * A header (POSIX pax(1), “ustar Interchange Format”) that differs from a genuine one in nothing but the change, so that a
 * refusal is for that. Its form is taken from a real bundle.
 */
export function header(name: string, size: number, change: HeaderChange = {}): Buffer {
  if (genuine === undefined) throw new Error('take a bundle apart first');
  const block = Buffer.from(genuine);
  const put = (text: string, at: number, length: number) => {
    block.fill(0, at, at + length);
    block.write(text, at, length);
  };
  const octal = (value: number, at: number, digits: number) =>
    block.write(value.toString(8).padStart(digits, '0'), at, digits, 'latin1');
  put(change.name ?? name, 0, 100);
  if (change.mode !== undefined) octal(change.mode, 100, 6);
  if (change.uid !== undefined) octal(change.uid, 108, 6);
  // Eleven digits only where ten are not enough.
  if (size < 8 ** 10) put(`${size.toString(8).padStart(10, '0')} `, 124, 12);
  else put(size.toString(8).padStart(11, '0'), 124, 12);
  change.sizeField?.copy(block, 124);
  if (change.type !== undefined) put(change.type, 156, 1);
  if (change.link !== undefined) put(change.link, 157, 100);
  if (change.magic !== undefined) put(change.magic, 257, 8);
  block.fill(0x20, 148, 156);
  const sum = change.checksum ?? block.reduce((a, b) => a + b, 0);
  octal(sum, 148, 6);
  genuine.copy(block, 154, 154, 156);
  return block;
}

export interface Part {
  readonly name: string;
  readonly bytes: Buffer;
  readonly change?: HeaderChange;
}

const padding = ({ length }: Buffer) => Buffer.alloc((512 - (length % 512)) % 512);
const trailer = Buffer.alloc(1024);

/** One entry: header, contents, padding. Not put together yet, for some are large. */
const pieces = ({ name, bytes, change }: Part): Buffer[] => [
  header(name, bytes.length, change),
  bytes,
  padding(bytes),
];
export const entry = (part: Part): Buffer => Buffer.concat(pieces(part));

/** A PAX header with one record, for what follows (`x`) or for everything (`g`). */
export function pax(key: string, value: string, type: 'x' | 'g' = 'x'): Buffer {
  const body = ` ${key}=${value}\n`;
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length += 1;
  return entry({ name: 'pax', bytes: Buffer.from(`${length}${body}`), change: { type } });
}

export interface TakenApart {
  readonly whole: Buffer;
  readonly manifest: ManifestInput;
  readonly manifestBytes: Buffer;
  readonly signatureBytes: Buffer;
  /** What follows the signatures: index, nix.sig, contents, and what is computed from them. */
  readonly members: readonly Part[];
}

/** The bytes of a member. */
export function bytesOf({ members }: Pick<TakenApart, 'members'>, name: string): Buffer {
  const part = members.find((p) => p.name === name);
  if (part === undefined) throw new Error(`there is no ${name}`);
  return part.bytes;
}

/** The same members, but one with other bytes. */
export function withBytes(apart: TakenApart, name: string, bytes: Buffer | string): Part[] {
  bytesOf(apart, name);
  return apart.members.map((part) =>
    part.name === name ? { ...part, bytes: Buffer.from(bytes as string) } : part,
  );
}

export const takeApart = async (path: string): Promise<TakenApart> => takeBytesApart(await readFile(path));

export function takeBytesApart(whole: Buffer): TakenApart {
  genuine ??= Buffer.from(whole.subarray(0, 512));
  const parts: Part[] = [];
  for (let at = 0; whole[at] !== 0; ) {
    const block = whole.subarray(at, at + 512);
    const octal = block.toString('latin1', 124, 136).replace(/[ \0].*$/s, '');
    // From 8 GiB on a size is in base 256, and no test bundle has such a member.
    const size = Number.parseInt(octal, 8);
    const name = block.toString('latin1', 0, 100).replace(/\0.*$/s, '');
    parts.push({ name, bytes: whole.subarray(at + 512, at + 512 + size) });
    at += 512 + size + ((512 - (size % 512)) % 512);
  }
  const [manifest, signatures, ...members] = parts;
  if (manifest === undefined || signatures === undefined) throw new Error('it is no bundle');
  return {
    whole,
    manifest: JSON.parse(manifest.bytes.toString()) as ManifestInput,
    manifestBytes: manifest.bytes,
    signatureBytes: signatures.bytes,
    members,
  };
}

export interface Assembly {
  readonly manifestBytes: Buffer;
  readonly signatureBytes: Buffer;
  readonly members: readonly Part[];
  /** Entries before the manifest, between it and the signatures, and after the last member. */
  readonly before?: Buffer;
  readonly between?: Buffer;
  readonly after?: Buffer;
}

export const assemble = ({
  manifestBytes,
  signatureBytes,
  members,
  before,
  between,
  after,
}: Assembly): Buffer =>
  Buffer.concat([
    before ?? Buffer.alloc(0),
    ...pieces({ name: 'manifest.json', bytes: manifestBytes }),
    between ?? Buffer.alloc(0),
    ...pieces({ name: 'manifest.sig', bytes: signatureBytes }),
    ...members.flatMap(pieces),
    after ?? Buffer.alloc(0),
    trailer,
  ]);

export const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** The tools for one attack: a genuine bundle that was not taken yet, an older one, and the keys. */
export interface Kit {
  /** What the target runs. */
  readonly running: TakenApart;
  /** Genuine, signed, newer than what the target runs. */
  readonly good: TakenApart;
  /** Genuine, signed, older than what the target runs. */
  readonly old: TakenApart;
  /** Genuine, of the sequence that the target runs, with other contents. */
  readonly twin: TakenApart;
  /** Genuine, for another host. */
  readonly other: TakenApart;
  /** Genuine, newer, and no NixOS system. */
  readonly noSystem: TakenApart;
  /** The key that the target trusts: for bundles that are wrong although they are signed. */
  readonly trusted: SecretKey;
  readonly stranger: SecretKey;
  /** A stranger’s key under the trusted key’s name. */
  readonly impostor: SecretKey;
}

export const readKey = async (file: string) => parseSecretKey((await readFile(file, 'utf8')).trim());

/** The members as they belong to another manifest: contents begin with its digest. */
export const ofManifest = (apart: TakenApart, manifestBytes: Buffer): Part[] =>
  withBytes(
    apart,
    'contents',
    bytesOf(apart, 'contents')
      .toString()
      .replace(/^.*$/m, `"${sha256(manifestBytes)}"`),
  );

/** The good bundle with another manifest, signed by whoever holds that key. */
export function resigned(
  { good, trusted }: Pick<Kit, 'good' | 'trusted'>,
  manifest: Buffer | string | Partial<ManifestInput>,
  key: SecretKey = trusted,
): Buffer {
  const bytes = Buffer.isBuffer(manifest)
    ? manifest
    : Buffer.from(
        typeof manifest === 'string' ? manifest : encodeManifest({ ...good.manifest, ...manifest }),
      );
  const signatureBytes = Buffer.from(signManifest(bytes, key));
  return assemble({ manifestBytes: bytes, signatureBytes, members: ofManifest(good, bytes) });
}

/**
 * The good bundle with one header changed: what was signed says nothing of headers.
 * @param which a member’s name, or the last
 */
export function withHeader({ good }: Kit, change: HeaderChange, which = good.members.at(-1)?.name): Buffer {
  return assemble({
    ...good,
    members: good.members.map((part) => (part.name === which ? { ...part, change } : part)),
  });
}

/** The control of whatever is made of the good bundle, and is that bundle where nothing is changed. */
export const unchanged = ({ good }: Kit): Buffer => good.whole;

/** Something is wrong with it, one thing, and it is refused for that. */
export interface Attack {
  /** What the attacker is after. */
  readonly threat: string;
  /** The codes that the documentation promises; the agent’s is the first. */
  readonly refusedAs: readonly string[];
  /** What is said besides: so that it is refused for its own fault, where others have the same code. */
  readonly because: RegExp;
  /** The same construction without the one thing that is wrong: taken by the same target. */
  readonly control: (kit: Kit) => Buffer | Promise<Buffer>;
  /** Where `verify`, which knows no policy and no history, has nothing against it. */
  readonly onlyAtTarget?: true;
  /** It has zeros where a copier may not have been yet: the agent leaves it alone once before it judges. */
  readonly mayStillCome?: true;
  /** Where the target’s policy is another than to trust one key. */
  readonly policy?: Readonly<Record<string, unknown>>;
  /** Where the one thing is the policy: that of the control. */
  readonly controlPolicy?: Readonly<Record<string, unknown>>;
  /** Paths that may enter the store, for they are what was signed; the system is not touched. */
  readonly mayImport?: (kit: Kit) => readonly string[];
  readonly make: (kit: Kit) => Buffer | Promise<Buffer>;
}
