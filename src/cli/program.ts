/** The command line, of all verbs or of the one that is wanted. */
import { Command } from 'commander';
import { addHelp, helpFormat, helpWidth } from './help/help.ts';
import { forCommander, runsAt } from './terminal/output.ts';
import { type LoadVerb, unitVerbs, verbGroups } from './verbs.ts';

const isVerb = (word: string): boolean =>
  Object.hasOwn(unitVerbs, word) || verbGroups.some(({ verbs }) => Object.hasOwn(verbs, word));

/**
 * @param version what `--version` says
 * @param wanted the first word of the call: if it is a verb, only that one is defined, and what is defined with it. Help and
 * suggestions need them all
 */
export async function makeProgram(version: string, wanted = ''): Promise<Command> {
  const program = new Command('nixmaker')
    .description('Updates for NixOS machines that nothing can reach over a network.')
    .usage('VERB [options] [arguments]')
    .version(version, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand(false)
    .showSuggestionAfterError()
    .configureOutput({ ...forCommander, getOutHelpWidth: helpWidth, getErrHelpWidth: helpWidth })
    .configureHelp(helpFormat)
    .exitOverride();

  const isOne = isVerb(wanted);
  const loadsOf = (verbs: Readonly<Record<string, LoadVerb>>): Set<LoadVerb> =>
    new Set(
      Object.entries(verbs)
        .filter(([name]) => !isOne || name === wanted)
        .map(([, load]) => load),
    );
  for (const { group, side, verbs } of verbGroups) {
    const before = program.commands.length;
    for (const load of loadsOf(verbs)) (await load())(program);
    for (const verb of program.commands.slice(before)) {
      verb.helpGroup(`${group}:`);
      // Including those below them: `keyring accept` is a machine’s, and is told so where it is defined.
      if (side === 'desk') verb.hook('preAction', () => runsAt('desk'));
    }
  }
  for (const load of loadsOf(unitVerbs)) (await load())(program);
  addHelp(program);
  return program;
}
