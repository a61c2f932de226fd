/**
 * narinfo: what a binary cache says about one path (Nix src/libstore/nar-info.cc). Bundles contain narinfos we
 * wrote, so reading is strict: known fields, each once, except `Sig`.
 */
import { NixmakerError } from '../errors.ts';
import { given } from '../given.ts';
import { limits } from '../limits.ts';
import { narDigest, type PathInfo } from '../release/path-info.ts';
import { fromBaseName, parseStorePath, type StorePath, toBaseName } from '../store-path.ts';

export interface Narinfo extends Pick<PathInfo, 'path' | 'narHash' | 'narSize' | 'references'> {
  readonly url: string;
  readonly compression: string;
  readonly fileHash: string;
  readonly fileSize: number;
  readonly deriver?: string;
  readonly ca?: string;
  readonly signatures: readonly string[];
}

const single = [
  'StorePath',
  'URL',
  'Compression',
  'FileHash',
  'FileSize',
  'NarHash',
  'NarSize',
  'References',
  'Deriver',
  'CA',
] as const;
type Field = (typeof single)[number];

/** For a NAR served uncompressed, whether restored from a delta or never requested. */
export const plainNarinfo = (
  info: Pick<PathInfo, 'path' | 'narHash' | 'narSize' | 'references' | 'ca'>,
  signatures: readonly string[] = [],
): Narinfo => ({
  path: info.path,
  narHash: info.narHash,
  narSize: info.narSize,
  references: info.references,
  ...given({ ca: info.ca }),
  url: `nar/${narDigest(info)}.nar`,
  compression: 'none',
  fileHash: info.narHash,
  fileSize: info.narSize,
  signatures,
});

/** @throws NixmakerError `bundle-malformed` */
export function parseNarinfo(text: string): Narinfo {
  const fields = new Map<Field, string>();
  const signatures: string[] = [];
  if (!text.endsWith('\n') || text.length > limits.narinfoBytes) malformed('it is cut off or too long');
  for (const line of text.slice(0, -1).split('\n')) {
    const colon = line.indexOf(': ');
    const name = line.slice(0, Math.max(colon, 0));
    const value = line.slice(colon + 2);
    if (name === 'Sig') signatures.push(value);
    else if (!isField(name) || fields.has(name)) malformed(`unexpected line: “${line.slice(0, 60)}”`);
    else fields.set(name, value);
  }
  const need = (name: Field): string => fields.get(name) ?? malformed(`${name} is missing`);
  const deriver = fields.get('Deriver');
  const ca = fields.get('CA');
  return {
    path: parseStorePath(need('StorePath')) ?? malformed('StorePath is not a store path'),
    url: need('URL'),
    compression: need('Compression'),
    fileHash: need('FileHash'),
    fileSize: size(need('FileSize')),
    narHash: need('NarHash'),
    narSize: size(need('NarSize')),
    references: parseReferences(need('References')),
    ...given({ deriver, ca }),
    signatures,
  };
}

export function renderNarinfo(info: Narinfo): string {
  const lines = [
    `StorePath: ${info.path}`,
    `URL: ${info.url}`,
    `Compression: ${info.compression}`,
    `FileHash: ${info.fileHash}`,
    `FileSize: ${info.fileSize}`,
    `NarHash: ${info.narHash}`,
    `NarSize: ${info.narSize}`,
    `References: ${info.references.map(toBaseName).join(' ')}`,
  ];
  if (info.deriver !== undefined) lines.push(`Deriver: ${info.deriver}`);
  for (const signature of info.signatures) lines.push(`Sig: ${signature}`);
  if (info.ca !== undefined) lines.push(`CA: ${info.ca}`);
  return `${lines.join('\n')}\n`;
}

/** The text Nix signs for a path (Nix src/libstore/path-info.cc, ValidPathInfo::fingerprint). */
export function fingerprint(info: Pick<Narinfo, 'path' | 'narHash' | 'narSize' | 'references'>): string {
  return `1;${info.path};${info.narHash};${info.narSize};${info.references.join(',')}`;
}

function isField(name: string): name is Field {
  return (single as readonly string[]).includes(name);
}

function parseReferences(text: string): StorePath[] {
  if (text === '') return [];
  return text
    .split(' ')
    .map((name) => fromBaseName(name) ?? malformed('References has an entry that is not a store path'));
}

function size(text: string): number {
  const value = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : malformed('a size is not a number');
}

function malformed(detail: string): never {
  throw new NixmakerError('bundle-malformed', `malformed narinfo: ${detail}`);
}
