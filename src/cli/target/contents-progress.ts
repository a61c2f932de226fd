/** Progress of reading a machine’s systems, which may take hours. */
import type { CheckProgress } from '../../target/machine/check-contents.ts';
import { progressTerminal } from '../terminal/output.ts';

export async function showingBytes<T>(
  isQuiet: boolean | undefined,
  work: (onProgress: (progress: CheckProgress) => void) => Promise<T>,
): Promise<T> {
  const { makeByteProgress } = await import('../../report/byte-progress.ts');
  const progress = makeByteProgress(progressTerminal(isQuiet === true), () => performance.now());
  const onProgress = ({ bytes, ofBytes }: CheckProgress) => {
    if (isQuiet !== true) progress.step({ title: 'reading the store', done: bytes, total: ofBytes });
  };
  try {
    return await work(onProgress);
  } finally {
    progress.end();
  }
}
