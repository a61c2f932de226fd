/** Manual pages: nixmaker(1) from the command line itself, nixmaker-policy(5) from docs/policy.md. man(7), groff's macros. */
import type { Command } from 'commander';
import { marked, type Token, type Tokens } from 'marked';
import { exitWords } from '../../src/cli/help/exit-words.ts';
import { byGroup, type Usage, usagesOf } from './commands.ts';

/** Text for roff to print literally: no dot or quote begins a request, dashes of options stay dashes. */
function roff(text: string): string {
  return text
    .replace(/\\/g, '\\e')
    .replace(/-/g, '\\-')
    .replace(/^([.'])/gm, '\\&$1')
    .replace(/[‘’]/g, '\\(cq')
    .replace(/“/g, '\\(lq')
    .replace(/”/g, '\\(rq')
    .replace(/…/g, '...');
}

const bold = (text: string) => `\\fB${roff(text)}\\fP`;
const header = (name: string, section: number, what: string) =>
  `.\\" Written by npm run docs; do not edit.\n.TH ${name.toUpperCase()} ${section} "" nixmaker\n.SH NAME\n${roff(name)} \\- ${roff(what)}\n`;

export function commandPage(program: Command): string {
  const section = ({ usage, description, flags, examples }: Usage) => {
    const options = flags.map(([flag, what]) => `.TP\n${bold(flag)}\n${roff(what)}\n`);
    const calls = examples.map(({ call, does }) => `${roff(`# ${does}`)}\n${roff(call)}\n`);
    const block = calls.length === 0 ? '' : `.PP\n.RS 4\n.nf\n${calls.join('')}.fi\n.RE\n`;
    return `.SS ${bold(usage)}\n${roff(sentence(description))}\n${options.join('')}${block}`;
  };
  const sections = byGroup(usagesOf(program)).map(
    ([group, usages]) => `.SH ${group.toUpperCase()}\n${usages.map(section).join('')}`,
  );
  const codes = exitWords.map(([code, word]) => `.TP\n${code}\n${roff(sentence(word))}\n`);
  return `${header('nixmaker', 1, 'updates for NixOS machines that nothing can reach over a network')}.SH SYNOPSIS
.B nixmaker
.I verb
[options] [arguments]
.SH DESCRIPTION
${roff(
  'At the desk, nixmaker builds one signed bundle for every host of a flake. A stick, scp or any other carrier moves it. On the target, an agent verifies, imports and activates it as the policy file allows, and writes back a signed receipt.',
)}
${sections.join('')}.SH EXIT STATUS
${codes.join('')}.SH ENVIRONMENT
.TP
.B SOURCE_DATE_EPOCH
${roff('The creation time of bundles in seconds since 1970, instead of the commit’s.')}
.TP
.B NO_COLOR
${roff('If set, output is not coloured.')}
.SH FILES
.TP
.I /etc/nixmaker/policy.json
${roff('The policy file, nixmaker-policy(5).')}
.TP
.I /etc/nixmaker/settings.json
${roff('Settings: where nixmaker keeps things, if not in the default places.')}
.TP
.I /var/lib/nixmaker/inbox
${roff('Bundles dropped here are taken.')}
.SH SEE ALSO
.BR nixmaker\\-policy (5),
.BR nix (1),
.BR nixos\\-rebuild (8)
`;
}

const sentence = (text: string) => `${text[0]?.toUpperCase()}${text.slice(1)}.`;

/** @param markdown docs/policy.md */
export function policyPage(markdown: string): string {
  const tokens = marked.lexer(markdown);
  const body = tokens.filter((t) => !(t.type === 'heading' && t.depth === 1)).map(block);
  return `${header('nixmaker-policy', 5, 'what a machine lets a nixmaker bundle do')}.SH DESCRIPTION\n${body.join('')}.SH SEE ALSO\n.BR nixmaker (1)\n`;
}

function block(token: Token): string {
  switch (token.type) {
    case 'heading':
      return `.${token.depth <= 2 ? 'SH' : 'SS'} "${inline(token.tokens ?? []).replaceAll('"', '\\(dq')}"\n`;
    case 'paragraph':
      return `.PP\n${inline(token.tokens ?? [])}\n`;
    case 'code':
      return `.PP\n.RS 4\n.nf\n${roff(token.text)}\n.fi\n.RE\n`;
    case 'table':
      return table(token as Tokens.Table);
    case 'list':
      return (token as Tokens.List).items
        .map(
          (item) =>
            `.IP \\(bu 2\n${item.tokens.map((t) => ('tokens' in t ? inline(t.tokens ?? []) : roff(t.raw))).join('\n')}\n`,
        )
        .join('');
    case 'space':
      return '';
    default:
      throw new Error(`docs/policy.md has what no manual page knows of: ${token.type}`);
  }
}

/** A row is a term and its description; the other columns are named. */
function table({ header: heads, rows }: Tokens.Table): string {
  return rows
    .map(([term, ...cells]) => {
      const said = cells.map((cell, i) =>
        i === 0 ? inline(cell.tokens) : `${roff(heads[i + 1]?.text ?? '')}: ${inline(cell.tokens)}`,
      );
      return `.TP\n${inline(term?.tokens ?? [])}\n${said.join('\n.br\n')}\n`;
    })
    .join('');
}

function inline(tokens: readonly Token[]): string {
  return tokens
    .map((token) => {
      if (token.type === 'codespan' || token.type === 'strong') return bold(unescaped(token.text));
      if (token.type === 'em') return `\\fI${roff(token.text)}\\fP`;
      if (token.type === 'link') return inline(token.tokens ?? []);
      if (token.type === 'br') return '\n.br\n';
      return roff(unescaped('text' in token ? token.text : token.raw));
    })
    .join('');
}

const unescaped = (text: string) =>
  text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&');
