/**
 * What an attacker’s tools would be, for what a bundle holds: index, signatures for Nix, contents and pieces in any form, and
 * everything that is computed from them computed once more, so that nothing but the lie itself can be what is refused. Written
 * here by hand: nixmaker’s own writers would refuse most of it.
 */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { encodeManifest, type ManifestInput } from '../../src/core/release/manifest.ts';
import type { StorePath } from '../../src/core/store-path.ts';
import type { SecretKey } from '../../src/signing/nix-key.ts';
import { signPath } from '../../src/signing/path-signature.ts';
import { signManifest } from '../../src/signing/signature-file.ts';
import { nix32Of } from './bundles.ts';
import {
  assemble,
  bytesOf,
  type HeaderChange,
  type Kit,
  type Part,
  sha256,
  type TakenApart,
} from './forge.ts';

/** `[baseName, narHash, narSize, files, blocks, references, ca]` */
export type Line = [string, string, number, number, number, number[], string];
/** A line of `contents`: `[line, "whole", size, digest]`, or `[line, "delta", size, digest, base, baseNarHash]`. */
export type Way = readonly unknown[];

const rowsOf = (bytes: Buffer): unknown[] =>
  bytes
    .toString()
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text) as unknown);

export const linesOf = (apart: TakenApart): Line[] => rowsOf(bytesOf(apart, 'index')) as Line[];
export const waysOf = (apart: TakenApart): Way[] => rowsOf(bytesOf(apart, 'contents')).slice(1) as Way[];
export const rows = (values: readonly unknown[]): string =>
  values.map((v) => `${JSON.stringify(v)}\n`).join('');

/** Numbers of the good bundle’s lines whose paths the target does not have yet. */
export function freshLines({ good, running }: Pick<Kit, 'good' | 'running'>): number[] {
  const there = new Set(linesOf(running).map(([name]) => name));
  return linesOf(good).flatMap(([name], line) => (there.has(name) ? [] : [line]));
}

export const pieceNameOf = ([, kind, , digest]: Way): string => {
  const name = String(digest);
  return kind === 'delta'
    ? `delta/${name.slice(0, 2)}/${name}.zst`
    : `nar/${name.slice(0, 2)}/${name}.nar.zst`;
};

/** The bytes of a line’s own piece. */
export const pieceOf = (apart: TakenApart, line: number): Buffer =>
  bytesOf(apart, pieceNameOf(waysOf(apart).find(([n]) => n === line) as Way));

/** Another piece for a line. */
export interface Instead {
  readonly way: Way;
  readonly bytes: Buffer;
}

export const whole = (line: number, bytes: Buffer): Instead => ({
  way: [line, 'whole', bytes.length, nix32Of(bytes)],
  bytes,
});

export const delta = (line: number, bytes: Buffer, [base, baseNarHash]: readonly unknown[]): Instead => ({
  way: [line, 'delta', bytes.length, nix32Of(bytes), base, baseNarHash],
  bytes,
});

/** A right difference for a path that the target does not have, to the system that it runs. */
export function genuineDelta({ good, running }: Pick<Kit, 'good' | 'running'>): Instead {
  const [line = 0] = freshLines({ good, running });
  const last = linesOf(running).length - 1;
  const base = zstdDecompressSync(pieceOf(running, last));
  const nar = zstdDecompressSync(pieceOf(good, line));
  return delta(line, zstdCompressSync(nar, { dictionary: base }), linesOf(running)[last] ?? []);
}

/** The same, a line later: where one is put before all others. */
export const raised = (ways: readonly Way[]): Way[] => ways.map((way) => way.with(0, Number(way[0]) + 1));

function totalsOf(lines: readonly Line[]): ManifestInput['totals'] {
  const sum = (column: 2 | 3 | 4) => lines.reduce((total, line) => total + line[column], 0);
  const largestNar = lines.reduce((most, line) => Math.max(most, line[2]), 0);
  return { paths: lines.length, files: sum(3), blocks: sum(4), narBytes: sum(2), largestNar };
}

interface Info {
  readonly path: StorePath;
  readonly narHash: string;
  readonly narSize: number;
  readonly references: StorePath[];
}

const pathOf = (name: string) => `/nix/store/${name}` as StorePath;

/** A line as Nix signs it; of references to lines that are not there, none. */
const infoOf = (lines: readonly Line[], [name, narHash, narSize, , , references]: Line): Info => ({
  path: pathOf(name),
  narHash: `sha256:${narHash}`,
  narSize,
  references: references.flatMap((r) => (lines[r] === undefined ? [] : [pathOf(lines[r][0])])).sort(),
});

/** A block of nix.sig for these lines. */
export function keyBlock(lines: readonly Line[], key: SecretKey): string {
  const signed = lines.filter((line) => line[6] === '');
  const all = signed.map((line) => signPath(infoOf(lines, line), key).slice(key.name.length + 1));
  return `${[key.name, ...all].join('\n')}\n`;
}

function narinfoOf(lines: readonly Line[], line: number, [, , size, digest]: Way, nixSig: string): Part {
  const fields = lines[line] as Line;
  const { path, narHash, narSize, references } = infoOf(lines, fields);
  const [name, , , , , , ca] = fields;
  const text = [
    `StorePath: ${path}`,
    `URL: nar/${String(digest).slice(0, 2)}/${String(digest)}.nar.zst`,
    'Compression: zstd',
    `FileHash: sha256:${String(digest)}`,
    `FileSize: ${String(size)}`,
    `NarHash: ${narHash}`,
    `NarSize: ${narSize}`,
    `References: ${references.map((r) => r.slice('/nix/store/'.length)).join(' ')}`,
    ...(ca === '' ? signaturesOf(lines, line, nixSig).map((s) => `Sig: ${s}`) : [`CA: ${ca}`]),
  ];
  return { name: `${name.slice(0, 32)}.narinfo`, bytes: Buffer.from(`${text.join('\n')}\n`) };
}

/** Of each block the line’s signature. */
function signaturesOf(lines: readonly Line[], line: number, nixSig: string): string[] {
  const texts = nixSig.split('\n').slice(0, -1);
  const signed = lines.filter(([, , , , , , ca]) => ca === '').length;
  const ordinal = lines.slice(0, line).filter(([, , , , , , ca]) => ca === '').length;
  const signatures: string[] = [];
  for (let at = 0; at < texts.length; at += signed + 1)
    signatures.push(`${texts[at]}:${texts[at + 1 + ordinal]}`);
  return signatures;
}

export interface Rebuilt {
  /** Fields of the manifest, after index and totals have been set right. It is signed anew. */
  readonly manifest?: Partial<ManifestInput>;
  readonly lines?: readonly Line[];
  /** The index as it is, instead of what the lines give. */
  readonly index?: string | Buffer;
  readonly nixSig?: string;
  /** Lines of contents. */
  readonly ways?: readonly Way[];
  /** Contents as they are, instead of what the ways give. */
  readonly contents?: string | Buffer;
  /** Pieces in the place of a line’s own; of several for one line all are announced. */
  readonly pieces?: readonly Instead[];
  /** Of the last member. */
  readonly lastHeader?: HeaderChange;
}

/**
 * The good bundle, changed, and consistent again. The manifest is signed anew by the key that the target trusts where index,
 * lines or manifest are others: only a builder gone wrong can do that. All else anybody can do who carries a bundle.
 */
export function rebuilt(kit: Pick<Kit, 'good' | 'trusted'>, change: Rebuilt): Buffer {
  const { good, trusted } = kit;
  const lines = change.lines ?? linesOf(good);
  const isSignedAnew = (change.lines ?? change.index ?? change.manifest) !== undefined;
  const index = Buffer.from((change.index as string) ?? rows(lines));
  const manifestBytes = isSignedAnew
    ? Buffer.from(
        encodeManifest({
          ...good.manifest,
          totals: totalsOf(lines),
          index: { size: index.length, sha256: sha256(index) },
          ...change.manifest,
        }),
      )
    : good.manifestBytes;
  const genuine = bytesOf(good, 'nix.sig').toString();
  const nixSig = change.nixSig ?? (change.lines === undefined ? genuine : keyBlock(lines, trusted));
  const ways = change.ways ?? exchanged(waysOf(good), change.pieces ?? []);
  const members: Part[] = [
    { name: 'index', bytes: index },
    { name: 'nix.sig', bytes: Buffer.from(nixSig) },
    {
      name: 'contents',
      bytes: Buffer.from((change.contents as string) ?? rows([sha256(manifestBytes), ...ways])),
    },
    { name: 'meta', bytes: bytesOf(good, 'meta') },
    { name: 'nix-cache-info', bytes: bytesOf(good, 'nix-cache-info') },
    ...narinfosOf(lines, ways, nixSig),
    ...piecesOf(good, ways, change.pieces ?? []),
  ];
  const signatureBytes = isSignedAnew
    ? Buffer.from(signManifest(manifestBytes, trusted))
    : good.signatureBytes;
  const { lastHeader } = change;
  const all = members.map((part, i) =>
    i === members.length - 1 && lastHeader !== undefined ? { ...part, change: lastHeader } : part,
  );
  return assemble({ manifestBytes, signatureBytes, members: all });
}

function exchanged(ways: readonly Way[], pieces: readonly Instead[]): Way[] {
  const lines = new Set(pieces.map(({ way }) => way[0]));
  const kept = ways.filter(([line]) => !lines.has(line));
  return [...kept, ...pieces.map(({ way }) => way)].sort((a, b) => Number(a[0]) - Number(b[0]));
}

function narinfosOf(lines: readonly Line[], ways: readonly Way[], nixSig: string): Part[] {
  return lines.flatMap((_, line) => {
    const way = ways.find(([n, kind]) => n === line && kind === 'whole');
    return way === undefined ? [] : [narinfoOf(lines, line, way, nixSig)];
  });
}

function piecesOf(good: TakenApart, ways: readonly Way[], pieces: readonly Instead[]): Part[] {
  const bytes = new Map(good.members.map((part) => [part.name, part.bytes]));
  for (const { way, bytes: own } of pieces) bytes.set(pieceNameOf(way), own);
  return [...new Set(ways.map(pieceNameOf))].flatMap((name) => {
    const own = bytes.get(name);
    return own === undefined ? [] : [{ name, bytes: own }];
  });
}

/** A piece for the system that is announced as so large, in signed index, contents and header alike; it is not. */
export function withLargePiece(kit: Kit, size: number): Buffer {
  const lines = linesOf(kit.good);
  const last = lines.length - 1;
  const octal = Buffer.from(`${size.toString(8)}\0`);
  return rebuilt(kit, {
    lines: lines.map((line, n) => (n === last ? (line.with(2, size) as Line) : line)),
    ways: waysOf(kit.good).map((way) => (way[0] === last ? way.with(2, size) : way)),
    lastHeader: { sizeField: octal.length === 12 ? octal : base256(size) },
  });
}

/** The size field from 8 GiB on: the highest bit set, then the number in all twelve bytes (GNU tar manual). */
export function base256(size: number): Buffer {
  const field = Buffer.alloc(12);
  field.writeBigUInt64BE(BigInt(size), 4);
  field[0] = 0x80;
  return field;
}
