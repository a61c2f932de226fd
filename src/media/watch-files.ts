/** Notices that files were written. */
import { watch } from 'chokidar';

/**
 * Threat: others replace a file with a link to the root of the file system, to have all of it watched.
 * @param files need not exist yet
 */
export function watchFiles(files: readonly string[], onChange: () => void): { close(): Promise<void> } {
  // Missing files are watched for from above: there, too, only what leads to them.
  const ignored = (path: string) => !files.some((file) => file === path || file.startsWith(`${path}/`));
  const options = { ignoreInitial: true, followSymlinks: false, ignored };
  return (
    watch([...files], options)
      .on('all', onChange)
      // What changed before it was watched.
      .on('ready', onChange)
      .on('error', onChange)
  );
}
