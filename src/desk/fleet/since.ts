/** `build --since`: what a target already has, according to a receipt from it, or to a bundle it has taken. */
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { NixmakerError } from '../../core/errors.ts';
import { matchesHost } from '../../core/host-pattern.ts';
import { limits } from '../../core/limits.ts';
import { manifestSchemaVersion } from '../../core/release/manifest.ts';
import type { HostReceipt } from '../../core/run/host-receipt.ts';
import { fromBaseName, type StorePath } from '../../core/store-path.ts';
import { decodeBase64OfAnyLength } from '../../signing/base64.ts';
import type { Base } from '../build/base.ts';
import { readAnyIndex } from '../keys/read-release.ts';
import { readUnverified } from './receipt-file.ts';

export interface HostBase extends Base {
  readonly host: string;
  /** The newest sequence the host has taken; it refuses anything not above that. 0 if the receipt names none. */
  readonly floor: number;
}

export interface Since {
  /** By host: each of its machines has one of these. */
  readonly bases: ReadonlyMap<string, readonly HostBase[]>;
  /** The newest sequence that any of them has. */
  readonly floor: number;
}

/** Per host: for each of them a path may need its own delta, and be carried whole as well. */
const mostBases = limits.piecesOfALine - 1;

/**
 * Nothing is verified: with a base that the target does not have, it refuses the bundle (`base-missing`), no more.
 * @param files receipts, bundles, and folders of releases that are not in a bundle
 * @param hosts chosen by the operator
 * @throws NixmakerError `usage`, `receipt-malformed`, or a bundle's own codes
 */
export async function readBases(files: readonly string[], hosts: readonly string[]): Promise<Since> {
  const bases = new Map<string, HostBase[]>();
  for (const file of files) {
    const base = file.endsWith('.json') ? await readReceiptBase(file) : await readBundleBase(file);
    if (hosts.length > 0 && !hosts.some((host) => matchesHost(host, base.host)))
      throw new NixmakerError(
        'usage',
        `${file} describes ${base.host}, but you are building ${hosts.join(', ')}`,
      );
    bases.set(base.host, [...(bases.get(base.host) ?? []), base]);
  }
  const names = [...bases.keys()];
  const missing = hosts.find((host) => !names.some((name) => matchesHost(host, name)));
  if (missing !== undefined)
    throw new NixmakerError(
      'usage',
      `you are building ${missing}, but ${files.join(', ')} only describes ${names.join(', ')}`,
    );
  const many = [...bases].find(([, all]) => all.length > mostBases);
  if (many !== undefined)
    throw new NixmakerError(
      'usage',
      `--since is given ${many[1].length} times for ${many[0]}; the limit is ${mostBases}`,
    );
  return { bases, floor: Math.max(0, ...[...bases.values()].flat().map(({ floor }) => floor)) };
}

async function readBundleBase(file: string): Promise<HostBase> {
  const { manifest, index } = await readAnyIndex(file);
  if (manifest.content !== 'closure')
    throw new NixmakerError('usage', `${file} contains only recipes, so it does not say what the target has`);
  return { host: manifest.host, floor: manifest.sequence, paths: new Set(index.paths()) };
}

const decompress = promisify(gunzip);

async function readReceiptBase(file: string): Promise<HostBase> {
  const receipt = await readUnverified(file);
  const { paths: listed, reads = [manifestSchemaVersion] } = receipt.now ?? {};
  if (!reads.includes(manifestSchemaVersion))
    throw new NixmakerError(
      'schema-unsupported',
      `${receipt.host} reads manifest schema ${reads.join(', ')}; this nixmaker writes ${manifestSchemaVersion}`,
    );
  if (listed === undefined)
    throw new NixmakerError('usage', `${file} does not list what the host has; use its newest receipt`);
  const paths = await pathsIn(listed);
  return { host: receipt.host, floor: receipt.now?.floor ?? 0, paths };
}

/** What a receipt says is installed. @throws NixmakerError `receipt-malformed` */
export async function pathsIn(
  listed: NonNullable<NonNullable<HostReceipt['now']>['paths']>,
): Promise<ReadonlySet<StorePath>> {
  const gzip = decodeBase64OfAnyLength(listed.gzip, limits.receiptBytes);
  if (gzip === undefined)
    throw new NixmakerError('receipt-malformed', 'its list of store paths is not base64');
  let text: string;
  try {
    const most = limits.lines * 256;
    text = (await decompress(gzip, { maxOutputLength: most })).toString('utf8');
  } catch (cause) {
    throw new NixmakerError('receipt-malformed', 'its list of store paths cannot be decompressed', { cause });
  }
  const paths = new Set(text.split('\n').flatMap((name) => fromBaseName(name) ?? []));
  if (paths.size !== listed.count || !paths.has(listed.toplevel))
    throw new NixmakerError('receipt-malformed', 'its list of store paths is incomplete');
  return paths;
}
