/**
 * Connections to a daemon that stay open for several questions: for each, the daemon forks, and its child opens Nix’s database.
 *
 * A child remembers what it has said about a path, valid or not (Nix src/libstore/store-api.cc, pathInfoCache), and goes by it when it adds
 * paths. So a connection is kept no longer than nothing of what was asked can have changed: what is looked at again, once something was
 * imported or deleted, is asked on another; and nothing is imported over one on which anything was asked about its paths.
 */
import { DaemonConnection } from './daemon-connection.ts';

/** The part of a context that says how the daemon is reached. */
export interface Reached {
  /** Where that store’s daemon listens, if it has one. */
  readonly daemonSocket?: string | undefined;
  /** Open already, for what is asked next. */
  readonly open?: OpenDaemon | undefined;
}

export class OpenDaemon {
  readonly #connection: DaemonConnection;
  /** Not while it is being asked, and no more once anything has failed: what comes next could be the rest of an answer. */
  #isFree = true;

  constructor(connection: DaemonConnection) {
    this.#connection = connection;
  }

  get isUsable(): boolean {
    return this.#isFree && !this.#connection.isClosed;
  }

  async ask<T>(work: (connection: DaemonConnection) => Promise<T>): Promise<T> {
    this.#isFree = false;
    const answer = await work(this.#connection);
    this.#isFree = true;
    return answer;
  }

  /** With it go its temporary roots. */
  close(): void {
    this.#connection.close();
  }
}

export interface Opened<C> {
  readonly nix: C;
  readonly close: () => void;
}

/** A context whose questions share a connection until it is closed, if there is a daemon. @throws NixmakerError `nix-unavailable`, `nix-too-old` */
export async function openDaemon<C extends Reached>(context: C): Promise<Opened<C>> {
  if (context.daemonSocket === undefined) return { nix: context, close: () => undefined };
  const open = new OpenDaemon(await DaemonConnection.open(context.daemonSocket));
  return { nix: { ...context, open }, close: () => open.close() };
}

/** The same for as long as the work takes. Whoever has a connection open goes on with it. */
export async function withOpenDaemon<C extends Reached, T>(
  context: C,
  work: (context: C) => Promise<T>,
): Promise<T> {
  if (context.open?.isUsable === true) return work(context);
  const { nix, close } = await openDaemon(context);
  try {
    return await work(nix);
  } finally {
    close();
  }
}

/** On the connection that is open, or on one of its own. @throws NixmakerError `nix-unavailable`, `nix-too-old` */
export async function withDaemon<T>(
  { open, daemonSocket }: Reached & { readonly daemonSocket: string },
  work: (connection: DaemonConnection) => Promise<T>,
): Promise<T> {
  if (open?.isUsable === true) return open.ask(work);
  const connection = await DaemonConnection.open(daemonSocket);
  try {
    return await work(connection);
  } finally {
    connection.close();
  }
}
