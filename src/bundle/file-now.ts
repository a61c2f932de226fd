/** Small files in open folders, read on this thread (files/foreign-now.ts). */
import { hasErrno } from '../core/errno.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { type FolderNow, readNow } from '../files/foreign-now.ts';

/**
 * As `readSmall` (file.ts). @param shown the file’s path, for people
 * @throws NixmakerError `bundle-malformed`, `not-a-bundle`, `io-error`
 */
export function readSmallNow(
  folder: FolderNow,
  name: string,
  { most, shown }: { readonly most: number; readonly shown: string },
): Buffer | undefined {
  try {
    return readNow(folder, name, most);
  } catch (cause) {
    const why = messageOf(cause);
    if (hasErrno(cause, 'EFBIG')) throw new NixmakerError('bundle-malformed', `${shown}: ${why}`, { cause });
    throw notReadable(cause);
  }
}

/** What the system says, as a fault of ours. */
export const notReadable = (cause: unknown): NixmakerError =>
  hasErrno(cause, 'ELOOP', 'EFTYPE')
    ? new NixmakerError('not-a-bundle', messageOf(cause), { cause })
    : new NixmakerError('io-error', `cannot open the file: ${messageOf(cause)}`, { cause });
