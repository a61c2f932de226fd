/** Root’s answers to the agent, one file each. */
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { namesIn } from '../files/read.ts';

/** Before a new one is written, for only the newest is kept: whoever asked for the others has long read them, or is gone. */
export async function clearAnswers(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) await unlink(join(folder, name));
}
