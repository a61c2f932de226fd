/** Being told that files were written. */
import { watch } from 'chokidar';

/** @param files need not be there yet */
export function watchFiles(files: readonly string[], onChange: () => void): { close(): Promise<void> } {
  return watch([...files], { ignoreInitial: true }).on('all', onChange);
}
