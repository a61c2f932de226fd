/** A command as a person runs it at a terminal: a job of its own, which the terminal’s signals reach as a whole. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Ran } from './program.ts';
import type { Target } from './sandboxed-target.ts';

export interface Job {
  /** To the command and whatever it has started and not taken out of the job. */
  signal(name: NodeJS.Signals): void;
  readonly ended: Promise<Ran>;
  /** On standard error. */
  readonly saidSoFar: () => string;
}

/** Its standard input stays open, as a terminal’s does. */
export function startByHand(target: Target, args: readonly string[]): Job {
  const [program, ...rest] = target.command([...args]);
  const child = spawn(program, rest, {
    detached: true,
    stdio: 'pipe',
    env: { ...process.env, ...target.env },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'exit').then(async ([code, signal]) => {
    // What outlives it holds its output open.
    child.stdin.destroy();
    await Promise.race([once(child, 'close'), new Promise((resolve) => setTimeout(resolve, 1000).unref())]);
    return { code: code as number | null, signal: signal as NodeJS.Signals | null, stdout, stderr };
  });
  return {
    signal: (name) => void process.kill(-(child.pid as number), name),
    ended,
    saidSoFar: () => stderr,
  };
}
