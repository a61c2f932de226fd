/**
 * Names in a pool as a server sees them (docs/format.md §5): one grammar for who asks (`fetch`) and who answers (`serve`). Threat: `..`,
 * an absolute name, a percent sign, anything that some layer reads differently. What is not exactly one of these names is not there.
 */
import { limits } from '../limits.ts';
import { isReceiptName } from '../receipt-name.ts';
import { isHostName } from '../schema.ts';
import { nix32 } from '../store-path.ts';
import { poolFolder } from './pool-folder.ts';

/** Below `hosts/<host>/`: the sequences that are there, for servers that can’t list a folder. */
export const sequencesFile = 'sequences';

const digest = `[${nix32}]{52}`;
const sequence = '[1-9][0-9]{0,15}';

/** What may be read, by its names below the pool’s folder; a host’s name is checked apart. */
const readable = [
  ['hosts', '[^/]+', sequencesFile],
  ['hosts', '[^/]+', sequence, '(?:manifest\\.json|manifest\\.sig|contents|meta|sbom\\.cdx\\.json)'],
  ['cache', 'index', `${digest}(?:\\.sig)?`],
  ['cache', 'nar', `[${nix32}]{2}`, `${digest}\\.nar\\.zst(?:\\.[0-9]{3})?`],
  ['cache', 'delta', `[${nix32}]{2}`, `${digest}\\.zst(?:\\.[0-9]{3})?`],
  ['keyrings', '[1-9][0-9]{0,6}\\.keyring'],
].map((names) => names.map((name) => new RegExp(`^${name}$`)));

/** A file’s folders and name, from the pool’s own folder on; undefined if a pool has no such file. */
export function parsePoolPath(path: string): readonly string[] | undefined {
  const [root, first, ...rest] = namesOf(path);
  const names = [first ?? '', ...rest];
  if (root !== poolFolder || (first === 'hosts' && !isHostName(rest[0] ?? ''))) return undefined;
  const fits = (forms: readonly RegExp[]) =>
    forms.length === names.length && forms.every((form, i) => form.test(names[i] ?? ''));
  return readable.some(fits) ? [poolFolder, ...names] : undefined;
}

/** Whose receipt, and its name; undefined if it is no receipt’s path. */
export function parseReceiptPath(path: string): { readonly host: string; readonly name: string } | undefined {
  const [root, receipts, host = '', name = '', ...more] = namesOf(path);
  if (root !== poolFolder || receipts !== 'receipts' || more.length > 0) return undefined;
  return isHostName(host) && isReceiptName(name) ? { host, name } : undefined;
}

/** Longer than any of them. */
const mostPath = 512;

/** None of these names needs escaping in a URL, so nothing is unescaped. */
const namesOf = (path: string): string[] =>
  path.length <= mostPath && path.startsWith('/') ? path.slice(1).split('/') : [];

/** Bytes of a list of sequences: many more than a pool has of one host. */
export const sequencesBytes = limits.signatureFileBytes;

export const encodeSequences = (sequences: readonly number[]): string =>
  sequences.map((each) => `${each}\n`).join('');

/** Highest first; lines that are none are passed over, as is what a pool would have beside them. */
export function parseSequences(text: string): number[] {
  const found = text
    .split('\n')
    .flatMap((line) => (new RegExp(`^${sequence}$`).test(line) ? [Number(line)] : []));
  return [...new Set(found.filter(Number.isSafeInteger))].sort((a, b) => b - a);
}
