/** The NARs of an opened bundle's paths, decompressed or restored. */

import type { Member, PathInfo } from '../core/bundle/manifest.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { hashPart, type StorePath } from '../core/store-path.ts';
import { type OpenedBundle, readMember, streamMember } from './contents.ts';
import { restoreNar } from './delta.ts';
import { atOnceBytes, decompress, decompressAtOnce } from './zstd.ts';

/** What `zstd -d` takes without being asked (zstd(1), --memory): 128 MiB. */
const windowLogMax = 27;

export class NarReader {
  readonly #bundle: OpenedBundle;
  readonly #narOf: (path: StorePath) => AsyncIterable<Buffer>;
  /** For compressed bytes, again and again: memory that is new each time has all of the heap looked through each time. */
  #memory: Buffer = Buffer.alloc(0);

  /** @param narOf the NAR of a path that this machine has; what deltas are restored from */
  constructor(bundle: OpenedBundle, narOf: (path: StorePath) => AsyncIterable<Buffer>) {
    this.#bundle = bundle;
    this.#narOf = narOf;
  }

  /**
   * Yields at most one byte more than the `narSize` that was signed, or the chunk that goes beyond it: enough to see that it is
   * too many. The last of the member's bytes are decompressed only once its digest is right. One at a time.
   * @throws NixmakerError `bundle-altered`, `bundle-truncated`, `bundle-malformed`, `base-missing`, `closure-incomplete`
   */
  async *read(info: PathInfo): AsyncGenerator<Buffer, void, void> {
    const bundle = this.#bundle;
    const delta = bundle.deltas.get(info.path);
    if (delta !== undefined) {
      const member = this.#member(info, delta.member);
      const patch = { size: member.size, chunks: streamMember(bundle, member) };
      yield* restoreNar({ delta, info }, { base: this.#narOf(delta.base), patch });
      return;
    }
    const member = this.#member(info, bundle.narinfos.get(`${hashPart(info.path)}.narinfo`)?.url);
    const frame = { size: info.narSize, windowLogMax };
    try {
      if (member.size <= atOnceBytes && info.narSize <= atOnceBytes)
        yield decompressAtOnce(await readMember(bundle, member, this.#memoryFor(member)), frame);
      else yield* decompress(streamMember(bundle, member), frame);
    } catch (error) {
      if (error instanceof NixmakerError) throw error;
      const why = messageOf(error);
      throw new NixmakerError('bundle-malformed', `the NAR of ${info.path} can’t be decompressed: ${why}`);
    }
  }

  #memoryFor({ size }: Member): Buffer {
    if (this.#memory.length < size) this.#memory = Buffer.allocUnsafeSlow(size);
    return this.#memory.subarray(0, size);
  }

  #member(info: PathInfo, name: string | undefined): Member {
    const member = name === undefined ? undefined : this.#bundle.members.get(name);
    if (member !== undefined) return member;
    throw new NixmakerError('closure-incomplete', `the contents of ${info.path} are missing`);
  }
}
