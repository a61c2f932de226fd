/** The signals by which a terminal, or its end, ends what was started there. */
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import type { Interruption } from '../../core/run/interruption.ts';
import { printToStderr } from './output.ts';

/**
 * For verbs of people’s that may change the machine: from here on a signal stops what has changed nothing, and nothing else. The pipe that
 * nobody reads any more and the terminal that is gone are main.ts’s.
 */
export function outliveTerminal(interruption: Interruption | undefined): void {
  if (interruption === undefined) return;
  interruption.watch();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      const heeded = interruption.ask(name);
      if (heeded === 'not')
        return printToStderr(
          lines`nixmaker: ${name}: the machine is being changed; continuing until that is done or undone\n`,
        );
      printToStderr(lines`nixmaker: ${name}: stopped; nothing was changed\n`);
      if (heeded === 'at-once') process.exit(exitCodes.interrupted);
    });
  }
}
