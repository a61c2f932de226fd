import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { printJson, runVerb } from '../terminal/output.ts';

/** The inner half of `install`, in namespaces of its own. Asked on standard input, answers on standard output. */
export function defineEnterRoot(program: Command): void {
  program
    .command('enter-root', { hidden: true })
    .description('install the boot loader of a new system, from within it; started by install')
    .action(() =>
      runVerb(async () => {
        const { enterAsAsked } = await import('../../target/install/enter-root.ts');
        printJson(await enterAsAsked(await text(process.stdin)));
        return exitCodes.done;
      }),
    );
}
