/**
 * One daemon for all of a command’s questions, because starting a program of Nix’s for each takes longer than the answer: `nix-daemon
 * --stdio`, which opens the store that Nix’s own configuration names, or passes everything on to the daemon that serves it (Nix
 * src/nix/unix/daemon.cc, runDaemon). Where there is none, and for whatever it fails to answer, the programs are asked: they say what is
 * wrong in words for people.
 */
import pLimit from 'p-limit';
import { NixmakerError } from '../core/errors.ts';
import type { PathInfo } from '../core/release/path-info.ts';
import type { StorePath } from '../core/store-path.ts';
import { DaemonConnection, type Streams } from './daemon-connection.ts';

/** A program that reads and writes until it is told to end. */
export interface Talking extends Streams {
  /** Closes its input, and waits for its end. */
  readonly end: () => Promise<void>;
}

export type Talker = (program: string, args: readonly string[]) => Talking;

/**
 * Milliseconds for an answer. A collection may hold one up for as long as it takes to delete a path; programs then wait for it, and whoever
 * stops the command stops them.
 */
const mostPatience = 60_000;

export interface KeptDaemonOptions {
  /** Whoever stops the command: from then on nothing is answered. */
  readonly signal?: AbortSignal;
  readonly patience?: number;
}

export class KeptDaemon {
  /** What it has said about valid paths, for the command’s further hosts (closure.ts). */
  readonly known = new Map<StorePath, PathInfo>();
  readonly #talk: Talker;
  readonly #patience: number;
  #talking: Talking | undefined;
  #connection: Promise<DaemonConnection | undefined> | undefined;
  /** Answers come in the order of the questions. */
  readonly #inTurn = pLimit(1);
  #isOver = false;

  constructor(talk: Talker, { signal, patience = mostPatience }: KeptDaemonOptions = {}) {
    this.#talk = talk;
    this.#patience = patience;
    signal?.addEventListener('abort', () => this.#giveUp(), { once: true });
  }

  /** Before there is something to ask, so that nobody waits for it then. */
  start(): void {
    if (this.#connection !== undefined || this.#isOver) return;
    this.#talking = this.#talk('nix-daemon', ['--stdio']);
    this.#connection = DaemonConnection.over(this.#talking).catch(unlessOurs);
  }

  /** @returns undefined if it can’t be had or could not answer; it is then asked nothing more */
  ask<T extends NonNullable<unknown>>(
    question: (connection: DaemonConnection) => Promise<T>,
  ): Promise<T | undefined> {
    return this.#inTurn(async () => {
      const late = setTimeout(() => this.#giveUp(), this.#patience);
      try {
        this.start();
        const connection = await this.#connection;
        return connection === undefined || this.#isOver ? undefined : await question(connection);
      } catch (error) {
        // The rest of what it has said would be taken for the next answer. Its roots by links stay.
        this.#giveUp();
        return unlessOurs(error);
      } finally {
        clearTimeout(late);
      }
    });
  }

  /** Whoever waits for an answer gets none. */
  #giveUp(): void {
    this.#isOver = true;
    for (const stream of [this.#talking?.input, this.#talking?.output]) stream?.destroy();
  }

  /** With it go its temporary roots. */
  async close(): Promise<void> {
    this.#isOver = true;
    await this.#talking?.end();
  }
}

/** What Nix says is no fault of ours. */
function unlessOurs(error: unknown): undefined {
  if (!(error instanceof NixmakerError) || error.code === 'internal') throw error;
}
