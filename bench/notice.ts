/** How long the agent takes to notice a mount. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { checkout, run } from '../test/machines/program.ts';

/** Milliseconds from the end of mount(8) until the agent’s list of media has it. */
export interface NoticeFigures {
  readonly median: number;
  readonly worst: number;
}

export async function measureNotice(place: string): Promise<NoticeFigures> {
  const root = join(place, 'media');
  await mkdir(root);
  const probe = [process.execPath, join(checkout, 'bench/notice-probe.ts'), root];
  const user = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const ran = await run('unshare', ['--mount', '--propagation', 'private', ...user, '--', ...probe]);
  if (ran.code !== 0) throw new Error(`${ran.stdout}${ran.stderr}`);
  return JSON.parse(ran.stdout) as NoticeFigures;
}
