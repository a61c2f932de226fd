/** What `--help` and `nixmaker help VERB` print: within 80 columns, verbs by where they are used, examples, exit codes. */
import type { Command, Help, Option } from 'commander';
import { examplesOf } from './examples.ts';
import { exitWords } from './exit-words.ts';

/** Where a verb is used, in help order. */
export const groups = ['Desk', 'Stick', 'Machine', 'Keys'] as const;
export type Group = (typeof groups)[number];

/** The width of a help page; a narrower terminal’s own width wins. */
const columns = 80;

export const helpWidth = (): number => Math.min(columns, process.stdout.columns ?? columns);

/** The words that make up a verb: `keyring sign`. */
export function wordsOf(command: Command): string[] {
  return command.parent === null ? [] : [...wordsOf(command.parent), command.name()];
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

/** With its choices and its default, as a person would type them. */
export function optionText({ description, argChoices, defaultValue }: Option): string {
  const choices = argChoices === undefined ? '' : ` (${argChoices.join(', ')})`;
  const isShown =
    defaultValue !== undefined && typeof defaultValue !== 'boolean' && !Array.isArray(defaultValue);
  return `${description}${choices}${isShown ? ` (default: ${defaultValue})` : ''}`;
}

export const helpFormat: Partial<Help> = {
  subcommandTerm: (command: Command) => command.name(),
  subcommandDescription: (command: Command) => command.summary() || command.description(),
  commandDescription: (command: Command) =>
    command.parent === null ? command.description() : sentence(command.description()),
  optionDescription: optionText,
};

/** Below each verb’s options, and the program’s. @param program with all its verbs */
export function addHelp(program: Command): void {
  program.addHelpText('after', () => programFooter());
  const addBelow = (command: Command): void => {
    for (const each of command.commands) {
      each.addHelpText('after', () => verbFooter(wordsOf(each)));
      addBelow(each);
    }
  };
  addBelow(program);
  addHelpVerb(program);
}

function programFooter(): string {
  const codes = exitWords.map(([code, word]) => `  ${String(code).padStart(3)}  ${word}`);
  return `
Exit codes:
${codes.join('\n')}

nixmaker help VERB shows a verb’s options and examples, nixmaker explain CODE
what a code means.`;
}

const exitLines = `Exit codes: 0 success, 1 fault, 64 usage, 65 bad bundle, 69 no Nix, 75 later,
77 refused, 78 bad configuration, 130 interrupted`;

function verbFooter(words: readonly string[]): string {
  const shown = examplesOf(words).map(({ call, does }) => `  # ${does}\n${folded(call)}`);
  const examples = shown.length === 0 ? '' : `\nExamples:\n${shown.join('\n')}\n`;
  return `${examples}\n${exitLines}`;
}

/** A command that is too long continues on the next line, in shell syntax. */
function folded(call: string): string {
  const lines: string[] = [];
  let line = ' ';
  for (const word of call.split(' ')) {
    if (line.length + 1 + word.length > columns - 2) {
      lines.push(`${line} \\`);
      line = '     ';
    }
    line = `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}

/** `nixmaker help keyring sign` is `nixmaker keyring sign --help`. */
function addHelpVerb(program: Command): void {
  program
    .command('help', { hidden: true })
    .description('show help for a verb')
    .argument('[verb...]')
    .action(async (words: string[]) => {
      const found = verbAt(program, words);
      // For an unknown verb, say what may have been meant.
      await program.parseAsync(found ? [...words, '--help'] : words, { from: 'user' });
    });
}

const verbAt = (program: Command, words: readonly string[]): Command | undefined =>
  words.reduce<Command | undefined>((at, word) => at?.commands.find((c) => c.name() === word), program);
