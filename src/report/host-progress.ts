/** Progress of work on several hosts: listr2 on a terminal, plain lines everywhere else. Always on standard error. */
import { Listr } from 'listr2';
import pLimit from 'p-limit';
import { printable } from '../core/errors.ts';
import { type Lines, lines } from '../core/lines.ts';

export interface HostOutcome {
  readonly host: string;
  readonly status: 'built' | 'failed';
}

export type HostWork<T extends HostOutcome> = (host: string, say: (text: string) => void) => Promise<T>;

export interface Terminal {
  readonly isTTY: boolean;
  /** Whether it shows more than ASCII; listr2 draws with other characters. */
  readonly isUtf8: boolean;
  readonly write: (text: Lines) => void;
}

/**
 * While one is written, on a medium slower than all else, the next few are prepared. The work itself must guard what can’t run twice
 * at once.
 */
const concurrent = 4;

/**
 * Runs the work for all hosts, in order. A failed host is an outcome like any other.
 * @returns in host order
 */
export function runHostsWithProgress<T extends HostOutcome>(
  terminal: Terminal,
): (hosts: readonly string[], work: HostWork<T>) => Promise<T[]> {
  return terminal.isTTY && terminal.isUtf8
    ? runOnTerminal
    : (hosts, work) => runInLines(terminal, hosts, work);
}

async function runOnTerminal<T extends HostOutcome>(
  hosts: readonly string[],
  work: HostWork<T>,
): Promise<T[]> {
  const outcomes = new Map<string, T>();
  const tasks = hosts.map((host) => ({
    title: printable(host),
    task: async (_context: unknown, task: { output: string }) => {
      const outcome = await work(host, (text) => {
        task.output = printable(text);
      });
      outcomes.set(host, outcome);
      if (outcome.status === 'failed') throw new Error(`${host} failed`);
    },
  }));
  await new Listr(tasks, {
    concurrent,
    exitOnError: false,
    rendererOptions: { showErrorMessage: false, formatOutput: 'truncate' },
  }).run();
  return hosts.flatMap((host) => outcomes.get(host) ?? []);
}

/** One line when the step changes, not for every path. */
async function runInLines<T extends HostOutcome>(
  terminal: Terminal,
  hosts: readonly string[],
  work: HostWork<T>,
): Promise<T[]> {
  const runOne = async (host: string) => {
    let step = '';
    const outcome = await work(host, (text) => {
      const [first = ''] = text.split(' ');
      // Whom it waits for may be what a person has to look at.
      if (first !== step) terminal.write(lines`${host}: ${first === 'waiting' ? text : first}\n`);
      step = first;
    });
    terminal.write(lines`${host}: ${outcome.status}\n`);
    return outcome;
  };
  return pLimit(concurrent).map(hosts, runOne);
}
