/** Progress of work over several hosts: listr2 on a terminal, plain lines everywhere else. Always on standard error. */
import { Listr } from 'listr2';

export interface HostOutcome {
  readonly host: string;
  readonly status: 'built' | 'failed';
}

export type HostWork<T extends HostOutcome> = (host: string, say: (text: string) => void) => Promise<T>;

export interface Terminal {
  readonly isTTY: boolean;
  readonly write: (text: string) => void;
}

/** Runs the work host by host. A failed host is an outcome like any other. */
export function runHostsWithProgress<T extends HostOutcome>(
  terminal: Terminal,
): (hosts: readonly string[], work: HostWork<T>) => Promise<T[]> {
  return terminal.isTTY ? runOnTerminal : (hosts, work) => runInLines(terminal, hosts, work);
}

async function runOnTerminal<T extends HostOutcome>(
  hosts: readonly string[],
  work: HostWork<T>,
): Promise<T[]> {
  const outcomes: T[] = [];
  const tasks = hosts.map((host) => ({
    title: host,
    task: async (_context: unknown, task: { output: string }) => {
      const outcome = await work(host, (text) => {
        task.output = text;
      });
      outcomes.push(outcome);
      if (outcome.status === 'failed') throw new Error(`${host} failed`);
    },
  }));
  await new Listr(tasks, {
    concurrent: false,
    exitOnError: false,
    rendererOptions: { showErrorMessage: false },
  }).run();
  return outcomes;
}

/** A line when the step changes, not for every path. */
async function runInLines<T extends HostOutcome>(
  terminal: Terminal,
  hosts: readonly string[],
  work: HostWork<T>,
): Promise<T[]> {
  const outcomes: T[] = [];
  for (const host of hosts) {
    let step = '';
    const outcome = await work(host, (text) => {
      const [first = ''] = text.split(' ');
      if (first !== step) terminal.write(`${host}: ${first}\n`);
      step = first;
    });
    terminal.write(`${host}: ${outcome.status}\n`);
    outcomes.push(outcome);
  }
  return outcomes;
}
