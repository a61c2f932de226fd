/** Every verb’s synopsis, for docs/commands.md and the manual page. */
import type { Command } from 'commander';
import { type Example, examplesOf } from '../../src/cli/help/examples.ts';
import { optionText } from '../../src/cli/help/help.ts';
import { verbsOf } from './completions.ts';

export interface Usage {
  /** Where the verb is used: `Desk`. */
  readonly group: string;
  readonly usage: string;
  readonly description: string;
  /** The flags as written, and what they do. */
  readonly flags: readonly (readonly [string, string])[];
  readonly examples: readonly Example[];
}

export function usagesOf(program: Command): Usage[] {
  const verbs = verbsOf(program).filter(({ words, choices }) => words.length > 0 && choices.length === 0);
  return verbs.map(({ words, description, options }) => {
    const command = words.reduce<Command>(
      (at, word) => at.commands.find((c) => c.name() === word) ?? at,
      program,
    );
    const args = command.registeredArguments.map(
      (a) => `${a.required ? '' : '['}${a.name()}${a.variadic ? '...' : ''}${a.required ? '' : ']'}`,
    );
    const usage = [`nixmaker ${words.join(' ')}`, options.length > 1 ? '[options]' : '', ...args];
    const flags = options.filter((o) => o.long !== '--help').map((o) => [o.flags, optionText(o)] as const);
    return {
      group: groupOf(program, words),
      usage: usage.filter((word) => word !== '').join(' '),
      description,
      flags,
      examples: examplesOf(words),
    };
  });
}

/** As in the help, without its colon. */
const groupOf = (program: Command, [first]: readonly string[]): string =>
  program.commands
    .find((c) => c.name() === first)
    ?.helpGroup()
    .slice(0, -1) ?? '';

export const byGroup = (usages: readonly Usage[]): (readonly [string, readonly Usage[]])[] => [
  ...Map.groupBy(usages, ({ group }) => group),
];

export function commandsDocument(program: Command): string {
  const cell = (text: string) => text.replaceAll('|', '\\|');
  // A browser takes `<file>` for an element, and shows nothing.
  const prose = (text: string) => text.replace(/`[^`]*`|</g, (part) => (part === '<' ? '&lt;' : part));
  const section = ({ usage, description, flags, examples }: Usage) => {
    const rows = flags.map(([flag, what]) => `| \`${cell(flag)}\` | ${prose(cell(what))} |\n`).join('');
    const table = rows === '' ? '' : `\n| Option | |\n|---|---|\n${rows}`;
    const calls = examples.map(({ call, does }) => `${call}  # ${does}\n`).join('');
    const block = calls === '' ? '' : `\n\`\`\`sh\n${calls}\`\`\`\n`;
    return `### \`${usage}\`\n\n${prose(`${description[0]?.toUpperCase()}${description.slice(1)}`)}.\n${table}${block}`;
  };
  const sections = byGroup(usagesOf(program)).map(
    ([group, usages]) => `## ${group}\n\n${usages.map(section).join('\n')}`,
  );
  return `# Commands\n\nWritten by \`npm run docs\` from the command line itself; do not edit. Exit codes: [operations.md](operations.md#reading-what-happened).\n\n${sections.join('\n')}`;
}
