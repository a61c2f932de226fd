/** What Nix’s database has of valid paths, for thousands of them: over one connection where there is a daemon. */
import * as z from 'zod';
import { NixmakerError } from '../core/errors.ts';
import { encodeNix32 } from '../core/nix32.ts';
import { parseStorePath, type StorePath, storeDir } from '../core/store-path.ts';
import { type NixContext, nix } from './command.ts';
import { DaemonConnection } from './daemon-connection.ts';
import type { ValidInfo } from './daemon-wire.ts';

export type { ValidInfo };

/** Paths that are not valid are left out. @throws NixmakerError `nix-unavailable`, `nix-failed` */
export function queryValidInfos(
  context: NixContext,
  paths: readonly StorePath[],
): Promise<ReadonlyMap<StorePath, ValidInfo>> {
  return context.daemonSocket === undefined
    ? askCommand(context, paths)
    : withConnection(context.daemonSocket, (connection) => connection.infosOf(paths));
}

/** Adds signatures to valid paths, as the daemon lets root do. @throws NixmakerError `nix-unavailable`, `nix-failed` */
export async function addSignatures(
  { daemonSocket }: NixContext,
  signatures: ReadonlyMap<StorePath, string>,
): Promise<void> {
  if (daemonSocket === undefined || signatures.size === 0) return;
  await withConnection(daemonSocket, (connection) => connection.addSignatures(signatures));
}

async function withConnection<T>(
  socket: string,
  work: (connection: DaemonConnection) => Promise<T>,
): Promise<T> {
  const connection = await DaemonConnection.open(socket);
  try {
    return await work(connection);
  } finally {
    connection.close();
  }
}

/** A command line has an end. */
const portion = 1000;

/** `nix path-info --json` of Nix 2.24 to 2.34: null for a path that is not valid; the hash is `sha256-` and base 64 (SRI). */
const answers = z.record(
  z.string(),
  z
    .looseObject({
      narHash: z.string().startsWith('sha256-'),
      narSize: z.number().int().min(0),
      references: z.array(z.string()),
      signatures: z.array(z.string()).nullish(),
    })
    .nullable(),
);

async function askCommand(
  context: NixContext,
  paths: readonly StorePath[],
): Promise<ReadonlyMap<StorePath, ValidInfo>> {
  const infos = new Map<StorePath, ValidInfo>();
  for (let start = 0; start < paths.length; start += portion) {
    const text = await nix(context, ['path-info', '--json', ...paths.slice(start, start + portion)]);
    const parsed = answers.safeParse(JSON.parse(text));
    if (!parsed.success) throw new NixmakerError('nix-failed', 'what `nix path-info` says is not understood');
    for (const [key, info] of Object.entries(parsed.data)) {
      const path = parseStorePath(key) ?? parseStorePath(`${storeDir}/${key}`);
      if (path === undefined || info === null) continue;
      infos.set(path, {
        narHash: `sha256:${encodeNix32(Buffer.from(info.narHash.slice('sha256-'.length), 'base64'))}`,
        narSize: info.narSize,
        references: info.references.map((r) => parseStorePath(r) ?? `${storeDir}/${r}`).sort(),
        signatures: info.signatures ?? [],
      });
    }
  }
  return infos;
}
