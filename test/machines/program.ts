/** Starting programs from tests, and where the checkout is. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export const checkout = new URL('../..', import.meta.url).pathname;

/** This machine in Nix's words. */
export const nixSystem = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux`;

/** Programs started so end with the process that started them, however that ends (prctl(2), PR_SET_PDEATHSIG). */
export const mortal = ['setpriv', '--pdeathsig', 'TERM'];

/** Before a command that mounts what others are not to see. */
export const apart = ['unshare', '--mount', '--propagation', 'private'];

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: Buffer | string;
  readonly cwd?: string;
}

/** Runs a program to its end and keeps what it says. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // A child that refuses early closes its input; that is its right.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal, stdout, stderr };
}
