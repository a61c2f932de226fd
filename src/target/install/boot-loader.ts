/** Has the new system install its boot loader: a process of ours, in namespaces of its own, does what enter-root.ts says. */
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { classifySwitch } from '../../core/run/switch-outcome.ts';
import * as z from '../../core/zod.ts';
import type { RootMachine } from '../machine/machine.ts';
import type { Entering } from './enter-root.ts';

const ended = z.strictObject({
  exitCode: z.optional(z.number()),
  timedOut: z.boolean(),
  said: z.array(z.string()),
});
const enteredParser = z.strictObject({ notices: z.array(z.string()), boot: ended });

/** How this very nixmaker is started once more. */
export const ourselves = (): readonly string[] => [
  process.execPath,
  ...process.execArgv,
  ...process.argv.slice(1, 2),
];

/** The namespaces of nixos-enter; with us, whoever is in them ends. */
const namespaces = ['--fork', '--kill-child', '--mount', '--uts', '--mount-proc', '--pid'];

/** @returns what a person should know @throws NixmakerError `install-failed` with the switcher’s words, `root-unusable` */
export async function installBootLoader(
  { run }: Pick<RootMachine, 'run'>,
  entering: Entering,
  nixmaker: readonly string[] = ourselves(),
): Promise<readonly string[]> {
  const asked = JSON.stringify(entering);
  const result = await run('unshare', [...namespaces, '--', ...nixmaker, 'enter-root'], { input: asked });
  const said = result.stderrTail.at(-1) ?? messageOf(result.startError ?? 'it gave no reason');
  if (result.exitCode !== 0)
    throw new NixmakerError('install-failed', `the new system could not be entered: ${said}`);
  const { notices, boot } = enteredParser.parse(JSON.parse(result.stdout));
  const outcome = classifySwitch({ ...boot, exitCode: boot.exitCode });
  if (outcome !== 'done')
    throw new NixmakerError(
      'install-failed',
      `switch-to-configuration boot ${outcome === 'hung' ? 'did not end in time' : `ended with ${boot.exitCode ?? 'a signal'}`}: ${boot.said.slice(-5).join('; ') || 'it said nothing'}`,
    );
  return notices;
}
