/** An agent at work in a sandboxed target, and what it says. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

export interface AgentProgram {
  readonly main: string;
  readonly env?: Readonly<Record<string, string>>;
}

export type Line = Record<string, unknown>;

export interface RunningAgent {
  readonly child: ChildProcess;
  /** Log lines as they were written. */
  readonly log: () => readonly Line[];
  /** Resolves with the first line that fits; rejects when the agent ends before, or after `within` ms (30 s). */
  waitFor(fits: (line: Line) => boolean, within?: number): Promise<Line>;
  stop(): Promise<void>;
}

/** The lines a program writes to standard error, while it writes them. */
class Log {
  readonly lines: Line[] = [];
  readonly #child: ChildProcess;
  readonly #listeners = new Set<() => void>();
  #partial = '';

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    child.once('close', () => this.#tell());
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  waitFor(fits: (line: Line) => boolean, within = 30_000): Promise<Line> {
    return new Promise((resolve, reject) => {
      const give = (end: () => void) => {
        clearTimeout(deadline);
        this.#listeners.delete(look);
        end();
      };
      const fail = (what: string) => give(() => reject(new Error(what)));
      const look = () => {
        const found = this.lines.find(fits);
        if (found !== undefined) give(() => resolve(found));
        else if (this.hasEnded) fail(`the agent ended: ${JSON.stringify(this.lines.slice(-5))}`);
      };
      const deadline = setTimeout(
        () => fail(`the agent did not say so: ${JSON.stringify(this.lines)}`),
        within,
      );
      this.#listeners.add(look);
      look();
    });
  }

  #take(text: string): void {
    const parts = (this.#partial + text).split('\n');
    this.#partial = parts.pop() ?? '';
    for (const part of parts)
      this.lines.push(part.startsWith('{') ? JSON.parse(part) : { event: 'raw', text: part });
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Starts an agent with the command line, and waits until it is ready. */
export async function startAgent(
  [program, ...args]: readonly [string, ...string[]],
  env: Readonly<Record<string, string>>,
): Promise<RunningAgent> {
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  const log = new Log(child);
  const agent: RunningAgent = {
    child,
    log: () => log.lines,
    waitFor: (fits, within) => log.waitFor(fits, within),
    stop: async () => {
      if (log.hasEnded) return;
      child.kill('SIGTERM');
      await once(child, 'close');
    },
  };
  await agent.waitFor((line) => line.event === 'agent-ready');
  return agent;
}
