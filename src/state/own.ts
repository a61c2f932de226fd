/**
 * If our own files can’t be read, that is no bundle’s fault: the run waits. Threat: one root command under a strict umask,
 * or a failing disk, and from then on every good bundle is refused and moved away.
 */
import { hasErrno } from '../core/errno.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { readIfThere } from '../files/read.ts';

/** For `catch`. @throws NixmakerError `state-unreadable` for file system errors on our own files; others as they are */
export function asOurFault(error: unknown): never {
  if (hasErrno(error, 'EACCES', 'EPERM', 'EIO', 'ENOTCONN', 'ESTALE'))
    throw new NixmakerError('state-unreadable', messageOf(error), { cause: error });
  throw error;
}

/** @throws NixmakerError `state-unreadable` */
export const readOwn = (path: string): Promise<string | undefined> => readIfThere(path).catch(asOurFault);
