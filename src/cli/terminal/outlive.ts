/** The signals with which a terminal, or its closing, ends what was started there. */
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import type { Interruption } from '../../core/run/interruption.ts';
import { printToStderr } from './output.ts';

/** @param stop instead of ending at once; of each signal that comes */
export function onStop(stop: (name: NodeJS.Signals) => void): void {
  // `on`, not `once`: execa's own exit handler ends the process if it finds no other listener left.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop(name));
}

/**
 * For people’s verbs that may change the machine: from here on a signal stops only what has not changed anything. A pipe nobody reads
 * any more and a terminal that is gone are handled in main.ts.
 */
export function outliveTerminal(interruption: Interruption | undefined): void {
  if (interruption === undefined) return;
  interruption.watch();
  onStop((name) => {
    const heeded = interruption.ask(name);
    if (heeded === 'not')
      return printToStderr(
        lines`nixmaker: ${name}: the machine is being changed; continuing until that is done or undone\n`,
      );
    printToStderr(lines`nixmaker: ${name}: stopped; nothing was changed\n`);
    if (heeded === 'at-once') process.exit(exitCodes.interrupted);
  });
}
