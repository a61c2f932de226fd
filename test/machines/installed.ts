/** The agent as its unit starts it: without a just-in-time compiler, and with little memory for young objects (docs/adr/0018). */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningAgent } from './agent.ts';
import { main } from './compiled.ts';
import { checkout } from './program.ts';
import type { Target } from './sandboxed-target.ts';

/** Node.js’s options, from the unit itself. */
export async function installedOptions(): Promise<string> {
  const unit = await readFile(join(checkout, 'systemd/nixmaker.service'), 'utf8');
  const [, options] = /^Environment="NODE_OPTIONS=(.*)"$/m.exec(unit) ?? [];
  if (options === undefined) throw new Error('nixmaker.service sets no NODE_OPTIONS');
  return options;
}

export async function startInstalled(target: Target, program: string = main): Promise<RunningAgent> {
  return target.startAgent({ main: program, env: { NODE_OPTIONS: await installedOptions() } });
}
