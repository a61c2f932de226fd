/** What Nix’s database holds about valid paths, thousands at a time: over one connection if there is a daemon. */
import { NixmakerError } from '../core/errors.ts';
import { given } from '../core/given.ts';
import { encodeNix32 } from '../core/nix32.ts';
import { parseStorePath, type StorePath, storeDir } from '../core/store-path.ts';
import * as z from '../core/zod.ts';
import type { NixContext } from './command.ts';
import { mostSignatures, type SignatureFilter, type ValidInfo } from './daemon-wire.ts';
import { withDaemon } from './open-daemon.ts';
import { pathInfoJson } from './path-info.ts';

export type { SignatureFilter, ValidInfo };
export { mostSignatures };

/** Paths that are not valid are left out. @throws NixmakerError `nix-unavailable`, `nix-failed` */
export type ValidInfoQuery = (paths: readonly StorePath[]) => Promise<ReadonlyMap<StorePath, ValidInfo>>;

/** Any number of questions over one connection, if there is a daemon. */
/** @param wanted signatures of interest; none if omitted */
export function withValidInfos<T>(
  context: NixContext,
  work: (query: ValidInfoQuery) => Promise<T>,
  wanted: SignatureFilter = () => () => false,
): Promise<T> {
  const { daemonSocket, open } = context;
  return daemonSocket === undefined
    ? work((paths) => askCommand(context, paths, wanted))
    : withDaemon({ daemonSocket, open }, (connection) => work((paths) => connection.infosOf(paths, wanted)));
}

/** A single one. */
export async function queryValidInfos(
  context: NixContext,
  paths: readonly StorePath[],
): Promise<ReadonlyMap<StorePath, ValidInfo>> {
  return paths.length === 0 ? new Map() : withValidInfos(context, (query) => query(paths));
}

/** A valid path and everything it refers to, directly or not. @throws NixmakerError `nix-failed` if it is not valid */
export async function queryClosureInfos(
  context: NixContext,
  root: StorePath,
  wanted?: SignatureFilter,
): Promise<ReadonlyMap<StorePath, ValidInfo>> {
  const { infos, invalid } = await queryClosures(context, [root], wanted);
  const [first] = invalid;
  if (first !== undefined) throw new NixmakerError('nix-failed', `${first} is not valid`);
  return infos;
}

export interface Closures<Info = ValidInfo> {
  readonly infos: ReadonlyMap<StorePath, Info>;
  /** What is needed, and not valid. */
  readonly invalid: ReadonlySet<StorePath>;
}

/** Several, taken together. @throws NixmakerError `nix-unavailable`, `nix-failed` */
export function queryClosures(
  context: NixContext,
  roots: readonly StorePath[],
  wanted?: SignatureFilter,
): Promise<Closures> {
  return withValidInfos(context, (query) => gatherClosures(query, roots), wanted);
}

/** The same with the caller’s own connection. */
export async function gatherClosures<Info extends Pick<ValidInfo, 'references'>>(
  query: (paths: readonly StorePath[]) => Promise<ReadonlyMap<StorePath, Info>>,
  roots: readonly StorePath[],
): Promise<Closures<Info>> {
  const infos = new Map<StorePath, Info>();
  const invalid = new Set<StorePath>();
  // One layer at a time: what the last one refers to and is not known yet.
  for (let layer = [...new Set(roots)]; layer.length > 0; ) {
    const found = await query(layer);
    const next = new Set<StorePath>();
    for (const path of layer) {
      const info = found.get(path);
      if (info === undefined) invalid.add(path);
      else infos.set(path, info);
      for (const reference of info?.references ?? []) next.add(reference as StorePath);
    }
    layer = [...next].filter((path) => !infos.has(path) && !invalid.has(path));
  }
  return { infos, invalid };
}

/** Adds signatures to valid paths. @throws NixmakerError `nix-unavailable`, `nix-failed` */
export async function addSignatures(
  { daemonSocket, open }: NixContext,
  signatures: ReadonlyMap<StorePath, string>,
): Promise<void> {
  if (daemonSocket === undefined || signatures.size === 0) return;
  await withDaemon({ daemonSocket, open }, (connection) => connection.addSignatures(signatures));
}

/** A command line has limited length. */
const portion = 1000;

/** `nix path-info --json` of Nix 2.24 to 2.34: null for a path that is not valid; the hash is `sha256-` and base 64 (SRI). */
const answers = z.record(
  z.string(),
  z.nullable(
    z.looseObject({
      narHash: z.string().check(z.startsWith('sha256-')),
      narSize: z.int().check(z.gte(0)),
      references: z.array(z.string()),
      signatures: z.nullish(z.array(z.string())),
      ca: z.nullish(z.string()),
    }),
  ),
);

async function askCommand(
  context: NixContext,
  paths: readonly StorePath[],
  wanted: SignatureFilter,
): Promise<ReadonlyMap<StorePath, ValidInfo>> {
  const infos = new Map<StorePath, ValidInfo>();
  for (let start = 0; start < paths.length; start += portion) {
    const text = await pathInfoJson(context, paths.slice(start, start + portion));
    const parsed = answers.safeParse(JSON.parse(text));
    if (!parsed.success) throw new NixmakerError('nix-failed', 'unexpected output from `nix path-info`');
    for (const [key, info] of Object.entries(parsed.data)) {
      const path = parseStorePath(key) ?? parseStorePath(`${storeDir}/${key}`);
      if (path === undefined || info === null) continue;
      const stored = {
        narHash: `sha256:${encodeNix32(Buffer.from(info.narHash.slice('sha256-'.length), 'base64'))}`,
        narSize: info.narSize,
        references: info.references.map((r) => parseStorePath(r) ?? `${storeDir}/${r}`).sort(),
      };
      const signatures = (info.signatures ?? []).filter(wanted(path, stored)).slice(0, mostSignatures);
      infos.set(path, { ...stored, signatures, ...given({ ca: info.ca ?? undefined }) });
    }
  }
  return infos;
}
