/**
 * An import through the daemon’s own socket, as an ordinary client: NARs go straight from the bundle to the daemon, which checks signatures
 * and hashes against its own trusted keys (docs/adr/0017). `nix copy` from a loopback cache does the same with a second process in between,
 * and takes about twice as long.
 */

import type { StorePath } from '../core/store-path.ts';
import { DaemonConnection, type PathToAdd } from './daemon-connection.ts';
import type { NixProgress } from './log.ts';
import { OpenDaemon } from './open-daemon.ts';

export type { PathToAdd };

export interface AddRequest {
  /** A Unix socket's path. */
  readonly socket: string;
  /** References first. */
  readonly paths: readonly PathToAdd[];
}

/**
 * Where this store URI’s daemon listens; undefined if no daemon on this machine serves the store.
 * (Nix src/libstore/uds-remote-store.cc; src/libstore/include/nix/store/globals.hh, nixDaemonSocketFile)
 */
export function daemonSocketOf(
  store: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (store?.startsWith('unix:///') === true) {
    const path = store.slice('unix://'.length);
    return path.includes('?') ? undefined : path;
  }
  if (store !== 'daemon') return undefined;
  return env.NIX_DAEMON_SOCKET_PATH ?? `${env.NIX_STATE_DIR ?? '/nix/var/nix'}/daemon-socket/socket`;
}

export interface AddOptions {
  readonly onProgress?: (progress: NixProgress) => void;
  /** After each path: the bytes of NARs given so far. */
  readonly onBytes?: (total: number) => void;
}

export interface Added {
  /** Bytes of NARs that the daemon took. */
  readonly bytes: number;
  /** Ends the connection, and with it the temporary roots of all the paths. */
  readonly release: () => void;
  /** Says what is valid now that they were added; undefined if there was nothing to add, or it was not added by a daemon. */
  readonly open?: OpenDaemon;
}

/**
 * Adds what is not valid yet, and keeps holding all of it: a collection looks for roots first and for temporary roots a moment later (Nix
 * src/libstore/gc.cc, collectGarbage), so one that began before a path became valid does not see its root, and would take it if it were
 * released at once.
 * @throws NixmakerError `nix-unavailable`, `nix-key-untrusted`, `no-space`, `nix-failed`; and what the NARs’ sources throw
 */
export async function addToDaemon(
  { socket, paths }: AddRequest,
  { onProgress, onBytes }: AddOptions = {},
): Promise<Added> {
  if (paths.length === 0) return { bytes: 0, release: () => undefined };
  const connection = await DaemonConnection.open(socket);
  const release = () => connection.close();
  const open = new OpenDaemon(connection);
  try {
    const names = paths.map(({ path }) => path);
    // What is added the daemon holds of its own accord (Nix src/libstore/local-store.cc, addToStore).
    const valid = await held(connection, await connection.validOf(names));
    const missing = paths.filter(({ path }) => !valid.has(path));
    const expected = missing.length;
    if (expected === 0) return { bytes: 0, release, open };
    const expectedBytes = missing.reduce((sum, { narSize }) => sum + narSize, 0);
    const given = await connection.addAll(missing, (done, bytes) => {
      onBytes?.(bytes);
      onProgress?.({ phase: 'copy', done, expected, bytes, expectedBytes });
    });
    return { bytes: given, release, open };
  } catch (error) {
    release();
    throw error;
  }
}

/** Those still valid once they are held. */
async function held(
  connection: DaemonConnection,
  valid: ReadonlySet<StorePath>,
): Promise<ReadonlySet<StorePath>> {
  if (valid.size === 0) return valid;
  await connection.holdPaths([...valid]);
  return connection.validOf([...valid]);
}
