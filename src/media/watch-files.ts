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

interface Watching<T> {
  readonly signal: AbortSignal;
  /** @returns undefined to go on */
  readonly look: () => Promise<T | undefined>;
}

/** Looks once at the start and after every change; one look at a time. @returns what a look found; undefined after the signal */
export async function watchUntil<T>(
  files: readonly string[],
  { signal, look }: Watching<T>,
): Promise<T | undefined> {
  let changed = true;
  let wake: (() => void) | undefined;
  const note = () => {
    changed = true;
    wake?.();
  };
  const watcher = watchFiles(files, note);
  signal.addEventListener('abort', note);
  try {
    while (!signal.aborted) {
      if (changed) {
        changed = false;
        const found = await look();
        if (found !== undefined) return found;
        continue;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return undefined;
  } finally {
    signal.removeEventListener('abort', note);
    await watcher.close();
  }
}
