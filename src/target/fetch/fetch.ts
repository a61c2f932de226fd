/**
 * Copies from a server to a carrier’s folder just what this machine lacks. The agent, which keeps no network, takes it from there as it
 * takes everything: nothing that comes this way is believed any more than what comes on a stick.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { keyringsOf, lockOf } from '../../bundle/pool.ts';
import { poolFolder } from '../../core/bundle/pool-folder.ts';
import { NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { faultOf } from '../../core/fault.ts';
import { given } from '../../core/given.ts';
import { limits } from '../../core/limits.ts';
import { keyringExtension } from '../../core/policy/keyring.ts';
import type { ServerSettings } from '../../core/policy/servers.ts';
import { isThere } from '../../files/read.ts';
import { inTurn } from '../../files/turn.ts';
import { writeWhole } from '../../files/write.ts';
import { Client } from '../../network/client.ts';
import { openConnection } from '../../network/connection.ts';
import { RateLimit } from '../../network/pace.ts';
import { keyringVersion } from '../machine/keyring.ts';
import type { Machine } from '../machine/machine.ts';
import { findRelease, isWanted } from './find-release.ts';
import { choosePiecesHere, keepRelease, makePool } from './keep-release.ts';
import { sendReceipts } from './send-receipts.ts';

export interface Fetched {
  readonly server: string;
  /** `there`: all of it was here. `nothing`: this machine has the newest release already. */
  readonly status: 'fetched' | 'there' | 'nothing' | 'failed';
  readonly sequence?: number;
  /** Pieces that were fetched, and their bytes. */
  readonly files: number;
  readonly bytes: number;
  /** Versions of keyrings that were fetched. */
  readonly keyrings: readonly number[];
  /** Receipts sent; left out if none may be sent, or the server takes none. */
  readonly receipts?: number;
  /** Why not all was done. The rest was. */
  readonly faults: readonly { readonly code: ReasonCode; readonly detail: string }[];
}

export interface FetchOptions {
  readonly server: ServerSettings;
  readonly folder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Manifests’ digests of releases that are here in full, by servers before this one; its own is added. */
  readonly whole: Set<string>;
  readonly onProgress?: (progress: Progress) => void;
}

interface Progress {
  readonly server: string;
  readonly done: number;
  readonly total: number;
}

/** Keyrings fetched one after the other. */
const mostKeyrings = 64;

/** Files read at the same time, unless there is a limit on how fast: over a long way, most of the time is spent waiting. */
const atOnce = 4;

/** @throws NixmakerError `busy`, `usage`, `key-malformed`; what a server does wrong is among the faults */
export async function fetchFrom(machine: Machine, options: FetchOptions): Promise<Fetched> {
  const { folder, server, env } = options;
  await requireOwn(folder);
  await makePool(folder);
  const { clock } = machine;
  const connection = await openConnection(server, env);
  const rate = new RateLimit(server.bytesPerSecond, clock);
  const client = new Client({ connection, rate, clock });
  const turn = { hold: machine.hold, file: lockOf(folder), verb: 'fetch', patience: 0 };
  try {
    return await inTurn(turn, () => new Fetch(machine, client, options).execute());
  } finally {
    client.close();
  }
}

/** Threat: root follows a name that another user has put into their folder. */
async function requireOwn(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found === undefined || process.geteuid?.() !== 0 || found.uid === 0) return;
  throw new NixmakerError(
    'usage',
    `${folder} is another user’s: run \`nixmaker fetch\` as that user, not as root`,
  );
}

type Part = Partial<Pick<Fetched, 'status' | 'sequence' | 'files' | 'bytes' | 'keyrings' | 'receipts'>>;

class Fetch {
  readonly #machine: Machine;
  readonly #client: Client;
  readonly #options: FetchOptions;

  constructor(machine: Machine, client: Client, options: FetchOptions) {
    this.#machine = machine;
    this.#client = client;
    this.#options = options;
  }

  /** What fails in one part does not keep the others from being done. */
  async execute(): Promise<Fetched> {
    const faults: Fetched['faults'][number][] = [];
    const parts: Part[] = [];
    for (const work of [() => this.#keyrings(), () => this.#release(), () => this.#receipts()])
      try {
        parts.push(await work());
      } catch (error) {
        const fault = faultOf(error);
        if (fault.code === 'internal') throw error;
        if (!faults.some(({ code, detail }) => code === fault.code && detail === fault.detail))
          faults.push(fault);
      }
    const none = { status: 'failed', files: 0, bytes: 0, keyrings: [] } as const;
    return Object.assign({ server: this.#client.name, ...none }, ...parts, { faults }) as Fetched;
  }

  /** The next ones, each under its version, until there is none. The agent verifies them. */
  async #keyrings(): Promise<Part> {
    const { folder } = this.#options;
    const first = keyringVersion(this.#machine) + 1;
    const keyrings: number[] = [];
    for (let version = first; version < first + mostKeyrings; version += 1) {
      const name = `${version}${keyringExtension}`;
      const path = join(keyringsOf(folder), name);
      if (await isThere(path)) continue;
      const bytes = await this.#client.small(`${poolFolder}/keyrings/${name}`, limits.keyringBytes);
      if (bytes === undefined) break;
      await writeWhole(path, bytes);
      keyrings.push(version);
    }
    return { keyrings };
  }

  async #release(): Promise<Part> {
    const machine = this.#machine;
    const client = this.#client;
    const { folder, server, whole, onProgress } = this.#options;
    const found = await findRelease(machine, client);
    if (found === undefined) return { status: 'nothing' };
    const { sequence } = found.release.manifest;
    const { digest } = found.verified;
    // Threat: what a server says of where the pieces are is not signed, and would take the place of what is here.
    if (whole.has(digest)) return { status: 'there', sequence };
    const pieces = await choosePiecesHere(machine, found.release);
    const sum = pieces.reduce((all, { size }) => all + size, found.release.index.bytes.length);
    await isWanted(machine, found.verified, sum);
    let bytes = 0;
    const files = await keepRelease(
      machine,
      { folder, found, pieces },
      {
        client,
        clock: machine.clock,
        atOnce: server.bytesPerSecond === undefined ? atOnce : 1,
        onBytes: (done, total) => {
          bytes = done;
          onProgress?.({ server: client.name, done, total });
        },
      },
    );
    whole.add(digest);
    return { status: files > 0 ? 'fetched' : 'there', sequence, files, bytes };
  }

  async #receipts(): Promise<Part> {
    const { receipts, host } = this.#machine.policy;
    if (!receipts.send) return {};
    return given({ receipts: await sendReceipts(this.#client, { folder: this.#options.folder, host }) });
  }
}
