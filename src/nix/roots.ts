/** Garbage-collector roots for what is about to be imported. */
import { rename, rm, symlink } from 'node:fs/promises';
import type { StorePath } from '../core/store-path.ts';
import { legacyNix, type NixContext } from './command.ts';
import type { DaemonConnection } from './daemon-connection.ts';
import { type Opened, openDaemon, withDaemon } from './open-daemon.ts';

export interface Root {
  readonly link: string;
  readonly path: StorePath;
}

/**
 * Makes links garbage-collector roots before there is anything to protect: an indirect root may point anywhere, and takes effect when its
 * target becomes valid. Needs no privilege.
 */
export async function rootInAdvance(context: NixContext, roots: readonly Root[]): Promise<void> {
  for (const { link } of roots) for (const stale of [link, `${link}.new`]) await rm(stale, { force: true });
  const { daemonSocket, open } = context;
  if (daemonSocket === undefined) for (const { link } of roots) await registerStandIn(context, link);
  for (const { link, path } of roots) {
    await symlink(path, `${link}.new`);
    await rename(`${link}.new`, link);
  }
  if (daemonSocket === undefined) return;
  await withDaemon({ daemonSocket, open }, async (connection) => {
    for (const { link } of roots) await connection.addIndirectRoot(link);
  });
}

/**
 * The command line registers a root only for a valid path, so a derivation that is never built stands in; it is created and rooted by one
 * process, because a collection may run between any two.
 */
async function registerStandIn(context: NixContext, link: string): Promise<void> {
  const standIn = 'derivation { name = "nixmaker-root"; system = "none"; builder = "none"; }';
  await legacyNix(context, {
    program: 'nix-instantiate',
    args: ['--add-root', link, '--indirect', '--expr', standIn],
  });
}

/**
 * Makes the link a root of a path, if that is valid: by the daemon that is kept for this command.
 * @returns whether it is valid; undefined if there is no such daemon
 */
export async function rootIfValid(
  { daemon }: NixContext,
  { link, path }: Root,
): Promise<boolean | undefined> {
  return daemon?.ask(async (connection) => {
    if (!(await isHeld(connection, path))) return false;
    await symlink(path, link);
    await connection.addIndirectRoot(link);
    return true;
  });
}

/** As long as that daemon is kept, and if there is one. */
export async function holdForNow({ daemon }: NixContext, path: StorePath): Promise<void> {
  await daemon?.ask((connection) => isHeld(connection, path));
}

/** Held first: no collection takes it once it was seen to be valid. */
async function isHeld(connection: DaemonConnection, path: StorePath): Promise<boolean> {
  await connection.holdPaths([path]);
  return (await connection.validOf([path])).has(path);
}

export interface Held {
  /** Asks on the connection that holds them: what it finds valid stays so. Nothing is to be imported over it (open-daemon.ts). */
  readonly nix: NixContext;
  readonly release: () => void;
}

/**
 * Holds paths against collections, including one that has already looked for roots, until they are released. If there is no daemon to hold
 * them, nothing is held.
 * @param open opens the connection
 */
export async function holdPaths(
  context: NixContext,
  paths: readonly StorePath[],
  open: (context: NixContext) => Promise<Opened<NixContext>> = openDaemon,
): Promise<Held> {
  const { nix, close } = await open({ ...context, open: undefined });
  try {
    await nix.open?.ask((connection) => connection.holdPaths(paths));
    return { nix, release: close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Drops a root made by `rootInAdvance`, and what a cut has left of the making. */
export async function dropRoot(link: string): Promise<void> {
  for (const name of [link, `${link}.new`]) await rm(name, { force: true });
}
