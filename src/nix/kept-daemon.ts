/**
 * One daemon for all of a command’s questions, because starting a program of Nix’s for each takes longer than the answer: `nix-daemon
 * --stdio`, which opens the store that Nix’s own configuration names, or passes everything on to the daemon that serves it (Nix
 * src/nix/unix/daemon.cc, runDaemon). Where there is none, and for whatever it fails to answer, the programs are asked: they say what is
 * wrong in words for people.
 */
import pLimit from 'p-limit';
import { NixmakerError } from '../core/errors.ts';
import { DaemonConnection, type Streams } from './daemon-connection.ts';

/** A program that reads and writes until it is told to end. */
export interface Talking extends Streams {
  /** Closes its input, and waits for its end. */
  readonly end: () => Promise<void>;
}

export type Talker = (program: string, args: readonly string[]) => Talking;

export class KeptDaemon {
  readonly #talk: Talker;
  #talking: Talking | undefined;
  #connection: Promise<DaemonConnection | undefined> | undefined;
  /** Answers come in the order of the questions. */
  readonly #inTurn = pLimit(1);
  #isOver = false;

  constructor(talk: Talker) {
    this.#talk = talk;
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
      this.start();
      const connection = await this.#connection;
      if (connection === undefined || this.#isOver) return undefined;
      return question(connection).catch((error: unknown) => {
        // The rest of what it has said would be taken for the next answer. Its roots by links stay.
        this.#isOver = true;
        connection.close();
        return unlessOurs(error);
      });
    });
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
