/** Being told that files were written. */
import { watch } from 'chokidar';

/**
 * Threat: what others put in the place of a file, a link to the root of the file system, to have all of it watched.
 * @param files need not be there yet
 */
export function watchFiles(files: readonly string[], onChange: () => void): { close(): Promise<void> } {
  const only = { ignoreInitial: true, followSymlinks: false, depth: 0 };
  return watch([...files], only)
    .on('all', onChange)
    .on('error', onChange);
}
