/** The operating system’s answers, by code (errno(3)). */

/** Whether it is a system error with one of these codes: `ENOENT`, `EEXIST`. */
export function hasErrno(error: unknown, ...codes: readonly string[]): boolean {
  const code = (error as { readonly code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && codes.includes(code);
}

/** Whether it means that there is no such file or folder. */
export const isMissing = (error: unknown): boolean => hasErrno(error, 'ENOENT');

/** For `catch`: the value instead of an error with one of these codes. Any other is rethrown. */
export function insteadOf<T>(codes: readonly string[], value: T): (error: unknown) => T {
  return (error) => {
    if (hasErrno(error, ...codes)) return value;
    throw error;
  };
}

/** For `catch`: the value if there is no such file or folder. */
export const ifMissing = <T>(value: T): ((error: unknown) => T) => insteadOf(['ENOENT'], value);

/** For `catch`: the value also if a file or a broken link is where a folder is expected. */
export const ifNowhere = <T>(value: T): ((error: unknown) => T) =>
  insteadOf(['ENOENT', 'ENOTDIR', 'ELOOP'], value);

/** Linux’s errno(3) values with which file systems report damage and that Node.js has no names for. */
const damage = new Map([
  [-117, 'EUCLEAN'],
  [-74, 'EBADMSG'],
]);

/** The name of an error that means a damaged file system. */
export function damageOf(error: unknown): string | undefined {
  const errno = (error as { readonly errno?: unknown } | null | undefined)?.errno;
  return typeof errno === 'number' ? damage.get(errno) : undefined;
}
