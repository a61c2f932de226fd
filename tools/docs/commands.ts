/** Every verb as it is called, for docs/commands.md and the manual page. */
import type { Command } from 'commander';
import { verbsOf } from './completions.ts';

export interface Usage {
  readonly usage: string;
  readonly description: string;
  /** The flags as they are written, and what they do. */
  readonly flags: readonly (readonly [string, string])[];
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
    const flags = options
      .filter((o) => o.long !== '--help')
      .map((o) => {
        const { defaultValue } = o;
        const fallback =
          defaultValue === undefined || Array.isArray(defaultValue) ? '' : ` (default: ${defaultValue})`;
        const choices = o.argChoices === undefined ? '' : ` (${o.argChoices.join(', ')})`;
        return [o.flags, `${o.description}${choices}${fallback}`] as const;
      });
    return { usage: usage.filter((word) => word !== '').join(' '), description, flags };
  });
}

export function commandsDocument(program: Command): string {
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const sections = usagesOf(program).map(({ usage, description, flags }) => {
    const rows = flags.map(([flag, what]) => `| \`${cell(flag)}\` | ${cell(what)} |\n`).join('');
    const table = rows === '' ? '' : `\n| Option | |\n|---|---|\n${rows}`;
    return `## \`${usage}\`\n\n${description[0]?.toUpperCase()}${description.slice(1)}.\n${table}`;
  });
  return `# Commands\n\nWritten by \`npm run docs\` from the command line itself; do not edit. Exit codes: [operations.md](operations.md#reading-what-happened).\n\n${sections.join('\n')}`;
}
