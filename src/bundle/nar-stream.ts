/** A path's NAR out of an opened bundle, decompressed or restored. */
import { Readable } from 'node:stream';
import { constants, createZstdDecompress, zstdDecompressSync } from 'node:zlib';
import { messageOf, NixmakerError } from '../core/errors.ts';
import type { Member, PathInfo } from '../core/manifest.ts';
import { hashPart, type StorePath } from '../core/store-path.ts';
import { type OpenedBundle, readMember, streamMember } from './contents.ts';
import { restoreNar } from './delta.ts';

const chunkBytes = 1024 * 1024;
/** Up to here a NAR is decompressed at one go: most paths are small, and a stream for each would cost more. */
const smallBytes = 16 * 1024 * 1024;
/** What `zstd -d` takes without being asked (zstd(1), --memory): 128 MiB. */
const windowLogMax = 27;

/**
 * Yields at most one byte more than the `narSize` that was signed: enough to see that it is too many. The last of the member's
 * bytes are decompressed only once its digest is right.
 * @param narOf the NAR of a path that this machine has; what deltas are restored from
 * @throws NixmakerError `bundle-altered`, `bundle-truncated`, `bundle-malformed`, `base-missing`, `closure-incomplete`
 */
export async function* narStream(
  bundle: OpenedBundle,
  info: PathInfo,
  narOf: (path: StorePath) => AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void, void> {
  const delta = bundle.deltas.get(info.path);
  if (delta !== undefined) {
    const member = memberNamed(bundle, info, delta.member);
    yield* restoreNar({ delta, info }, { base: narOf(delta.base), patch: streamMember(bundle, member) });
    return;
  }
  const member = memberNamed(bundle, info, bundle.narinfos.get(`${hashPart(info.path)}.narinfo`)?.url);
  if (member.size <= smallBytes && info.narSize <= smallBytes) yield await small(bundle, info, member);
  else yield* large(bundle, info, member);
}

function memberNamed(bundle: OpenedBundle, info: PathInfo, name: string | undefined): Member {
  const member = name === undefined ? undefined : bundle.members.get(name);
  if (member !== undefined) return member;
  throw new NixmakerError('closure-incomplete', `the contents of ${info.path} are missing`);
}

async function small(bundle: OpenedBundle, info: PathInfo, member: Member): Promise<Buffer> {
  const bytes = await readMember(bundle, member);
  try {
    return zstdDecompressSync(bytes, {
      chunkSize: Math.max(64, info.narSize + 1),
      maxOutputLength: info.narSize + 1,
    });
  } catch (error) {
    throw malformed(info, error);
  }
}

async function* large(
  bundle: OpenedBundle,
  info: PathInfo,
  member: Member,
): AsyncGenerator<Buffer, void, void> {
  const source = Readable.from(streamMember(bundle, member), { objectMode: false });
  const decoder = createZstdDecompress({
    chunkSize: chunkBytes,
    params: { [constants.ZSTD_d_windowLogMax]: windowLogMax },
  });
  source.on('error', (error) => decoder.destroy(error));
  let size = 0;
  try {
    for await (const chunk of source.pipe(decoder) as AsyncIterable<Buffer>) {
      size += chunk.length;
      yield chunk;
      if (size > info.narSize) return;
    }
  } catch (error) {
    throw error instanceof NixmakerError ? error : malformed(info, error);
  } finally {
    source.destroy();
    decoder.destroy();
  }
}

const malformed = ({ path }: PathInfo, why: unknown) =>
  new NixmakerError('bundle-malformed', `the NAR of ${path} can’t be decompressed: ${messageOf(why)}`);
