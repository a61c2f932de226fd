/**
 * Room for what an update writes: looked for before the first byte, and again and again meanwhile, for others write too, and some file
 * systems count by their own lights (quotas, reservations, compression). Threat: a full disk harms everything else on the machine.
 */
import { NixmakerError } from '../../core/errors.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import { countLines } from '../../core/release/need.ts';
import { blockBytes, type Need, nothing, shortageOf } from '../../core/room.ts';
import { spaceAt } from '../../media/space.ts';
import { storeFolder } from '../../nix/store.ts';
import type { Machine } from '../machine/machine.ts';

type Keeper = Pick<Machine, 'policy'>;

/** @throws NixmakerError `no-space` where it does not fit beside what the policy keeps free */
export async function requireRoom({ policy }: Keeper, folder: string, need: Need): Promise<void> {
  const shortage = shortageOf(await spaceAt(folder), need, policy.limits.freeBytes);
  if (shortage !== undefined) throw noRoom(folder, shortage);
}

const noRoom = (folder: string, shortage: string) =>
  new NixmakerError('no-space', `${shortage} (the file system of ${folder})`);

/** Between two looks. Bytes. */
export const lookEvery = 1024 * 1024;
/** What a NAR has around each of its files, at most, names aside. Bytes. */
const narOverhead = 512;

/** Looks while NARs go by, and stops them as soon as the rest will not fit any more. */
export class ImportRoom {
  readonly #machine: Keeper & Pick<Machine, 'nix'>;
  readonly #index: ReleaseIndex;
  /** Contents of the paths that are still to come: what a file system needs besides was asked for before. */
  #left: Need;
  #unseen = lookEvery;

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
    // Small files take more than their share of a NAR: of the path at hand no more is counted than is sure to come.
    const sure = () => Math.max(0, Math.min(bytes, narLeft) - files * narOverhead);
    for await (const chunk of nar) {
      await this.#look(chunk.length, sure());
      narLeft -= chunk.length;
      yield chunk;
    }
    // Blocks, where they were more than the NAR’s own bytes.
    this.#unseen += Math.max(0, bytes - this.#index.narSize(line));
  }

  async #look(coming: number, ofThis: number): Promise<void> {
    this.#unseen += coming;
    if (this.#unseen < lookEvery) return;
    this.#unseen = 0;
    await requireRoom(this.#machine, storeFolder(this.#machine.nix), {
      bytes: this.#left.bytes + ofThis,
      files: this.#left.files,
    });
  }
}

/** Milliseconds between two looks at what others write for us. */
const pause = 250;

/**
 * Where a program of its own writes, of which nobody knows how much: it is ended once it takes what the policy keeps free.
 * @param folder whose file system it writes to
 * @param work ends with the signal that it is given
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
  // Where nobody can tell how much room is left, either. Met at the end: nobody waits for it meanwhile.
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
