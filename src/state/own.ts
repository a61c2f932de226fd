/**
 * What is ours and can’t be read is our fault, and none of any bundle’s: the run waits. Threat: one command of root’s under a strict umask,
 * or a disk that begins to fail, and from then on every good bundle is refused and moved away.
 */
import { hasErrno } from '../core/errno.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { readIfThere } from '../files/read.ts';

/** For `catch`. @throws NixmakerError `state-unreadable` for what the file system says of our own files; others as they are */
export function asOurFault(error: unknown): never {
  if (hasErrno(error, 'EACCES', 'EPERM', 'EIO', 'ENOTCONN', 'ESTALE'))
    throw new NixmakerError('state-unreadable', messageOf(error), { cause: error });
  throw error;
}

/** @throws NixmakerError `state-unreadable` */
export const readOwn = (path: string): Promise<string | undefined> => readIfThere(path).catch(asOurFault);
