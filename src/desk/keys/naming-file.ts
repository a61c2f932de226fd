import { NixmakerError } from '../../core/errors.ts';

/** The error, naming which of several files it is about. */
export const namingFile = (error: unknown, path: string): unknown =>
  error instanceof NixmakerError
    ? new NixmakerError(error.code, `${path}: ${error.detail}`, { cause: error })
    : error;
