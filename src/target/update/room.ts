/**
 * Room for what an update writes: checked before the first byte and repeatedly during the work, because others write too and some file
 * systems count in their own way (quotas, reservations, compression). Threat: a full disk harms everything else on the machine.
 */
import { NixmakerError } from '../../core/errors.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import { countLines } from '../../core/release/need.ts';
import { blockBytes, type Need, nothing, shortageOf, slackOf } from '../../core/room.ts';
import { spaceAt } from '../../media/space.ts';
import { storeFolder } from '../../nix/store.ts';
import type { Machine } from '../machine/machine.ts';

type Keeper = Pick<Machine, 'policy'>;

/** @returns what is free besides @throws NixmakerError `no-space` if it does not fit beside what the policy keeps free */
export async function requireRoom({ policy }: Keeper, folder: string, need: Need): Promise<Need> {
  const [space, reserve] = [await spaceAt(folder), policy.limits.freeBytes];
  const shortage = shortageOf(space, need, reserve);
  if (shortage !== undefined) throw noRoom(folder, shortage);
  return slackOf(space, need, reserve);
}

const noRoom = (folder: string, shortage: string) =>
  new NixmakerError('no-space', `${shortage} (the file system of ${folder})`);

/** Bytes between two checks, at least. */
export const lookEvery = 1024 * 1024;
/** And at most: looking more often took a tenth of a millisecond for each mebibyte. */
const lookAtLatest = 16 * 1024 * 1024;
/** To use up what is free besides before the next check, others would have to write this many times faster than we do. */
const othersFaster = 16;
/** Bytes. What a NAR adds around each of its files at most, names aside. */
const narOverhead = 512;

/** How many bytes may go by until the next check. @param besides what was free beside the need and the reserve */
export function untilNextLook({ bytes, files }: Need): number {
  // A file takes a block at least.
  const besides = Math.min(bytes, files * blockBytes);
  return Math.max(lookEvery, Math.min(lookAtLatest, besides / othersFaster));
}

/** Checks while NARs go by, and stops them as soon as the rest no longer fits. */
export class ImportRoom {
  readonly #machine: Keeper & Pick<Machine, 'nix'>;
  readonly #index: ReleaseIndex;
  /** Contents of the paths still to come: what else a file system needs was checked beforehand. */
  #left: Need;
  #unseen = lookEvery;
  #every = lookEvery;

  constructor(machine: Keeper & Pick<Machine, 'nix'>, index: ReleaseIndex, lines: readonly number[]) {
    this.#machine = machine;
    this.#index = index;
    const { blocks, files } = countLines(index, lines);
    this.#left = { bytes: blocks * blockBytes, files };
  }

  /** The same bytes. @throws NixmakerError `no-space` */
  async *over(line: number, nar: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
    const files = this.#index.files(line);
    const bytes = this.#index.blocks(line) * blockBytes;
    this.#left = { bytes: this.#left.bytes - bytes, files: this.#left.files - files };
    let narLeft = this.#index.narSize(line);
    // Small files take more than their share of a NAR: for the path in progress, count only what is certain to come.
    const sure = () => Math.max(0, Math.min(bytes, narLeft) - files * narOverhead);
    for await (const chunk of nar) {
      this.#unseen += chunk.length;
      if (this.#unseen >= this.#every) await this.#look(sure());
      narLeft -= chunk.length;
      yield chunk;
    }
    // In blocks, if those came to more than the NAR’s own bytes.
    this.#unseen += Math.max(0, bytes - this.#index.narSize(line));
  }

  async #look(ofThis: number): Promise<void> {
    this.#unseen = 0;
    const besides = await requireRoom(this.#machine, storeFolder(this.#machine.nix), {
      bytes: this.#left.bytes + ofThis,
      files: this.#left.files,
    });
    this.#every = untilNextLook(besides);
  }
}

/** Milliseconds between two checks of what others write for us. */
const pause = 250;

/**
 * For a separate program that writes an unknown amount: it is ended once it cuts into what the policy keeps free.
 * @param folder whose file system it writes to
 * @param work ends with the signal it is given
 * @throws NixmakerError `no-space`; and what the work throws
 */
export async function keepingRoom<T>(
  { policy, clock, interruption }: Keeper & Pick<Machine, 'clock' | 'interruption'>,
  folder: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const [short, ended] = [new AbortController(), new AbortController()];
  let fault: unknown;
  const look = async () => {
    while (!ended.signal.aborted) {
      const shortage = shortageOf(await spaceAt(folder), nothing, policy.limits.freeBytes);
      if (shortage !== undefined) throw noRoom(folder, shortage);
      await clock.sleep(pause, ended.signal);
    }
  };
  // Also if nobody can tell how much room is left. Handled at the end, because nobody awaits it before.
  const looking = look().catch((error: unknown) => {
    if (ended.signal.aborted) return;
    fault = error;
    short.abort();
  });
  const signals = interruption === undefined ? [short.signal] : [interruption.signal, short.signal];
  try {
    const done = await work(AbortSignal.any(signals));
    if (fault !== undefined) throw fault;
    return done;
  } catch (error) {
    throw fault ?? error;
  } finally {
    ended.abort();
    await looking;
  }
}
