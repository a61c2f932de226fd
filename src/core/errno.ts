/** What the operating system answers, told by its code (errno(3)). */

/** Whether it is an error of the system with one of these codes: `ENOENT`, `EEXIST`. */
export function hasErrno(error: unknown, ...codes: readonly string[]): boolean {
  const code = (error as { readonly code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && codes.includes(code);
}

/** Whether it says that there is no such file or folder. */
export const isMissing = (error: unknown): boolean => hasErrno(error, 'ENOENT');

/** For `catch`: the value in the place of an error with one of these codes. Any other is thrown on. */
export function insteadOf<T>(codes: readonly string[], value: T): (error: unknown) => T {
  return (error) => {
    if (hasErrno(error, ...codes)) return value;
    throw error;
  };
}

/** For `catch`: the value where there is no such file or folder. */
export const ifMissing = <T>(value: T): ((error: unknown) => T) => insteadOf(['ENOENT'], value);

/** errno(3) of Linux, for what the system’s file systems call damaged and Node.js has no name for. */
const damage = new Map([
  [-117, 'EUCLEAN'],
  [-74, 'EBADMSG'],
]);

/** The name of an error that says that a file system is damaged. */
export function damageOf(error: unknown): string | undefined {
  const errno = (error as { readonly errno?: unknown } | null | undefined)?.errno;
  return typeof errno === 'number' ? damage.get(errno) : undefined;
}
