import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { runVerb, serviceLog, untilStopped } from '../terminal/output.ts';

interface DesktopOptions {
  readonly settings?: string;
}

/** What nixmaker-desktop.service runs in each user’s session; not meant for people. */
export function defineDesktop(program: Command): void {
  program
    .command('desktop', { hidden: true })
    .description('show this session what nixmaker does, and ask (as an ordinary user)')
    .option('--settings <file>', 'settings file')
    .action((options: DesktopOptions) => runVerb(() => desktop(options), {}));
}

async function desktop({ settings: file }: DesktopOptions): Promise<number> {
  const { openSettings } = await import('../../target/machine/machine.ts');
  const { openSession } = await import('../../target/desktop/session.ts');
  const { watchScreen } = await import('../../target/desktop/screen.ts');
  const session = openSession(await openSettings(file), process.env, await serviceLog());
  await watchScreen(session, untilStopped());
  return exitCodes.done;
}
