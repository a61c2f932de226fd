import { Argument, type Command } from 'commander';
import { catalogue, safetyOf } from '../core/catalogue.ts';
import { atTheDesk, textsFor } from '../core/catalogue-desk.ts';
import { exitCodes, NixmakerError, type ReasonCode } from '../core/errors.ts';
import { lines } from '../core/lines.ts';
import { print, printJson, runVerb } from './terminal/output.ts';

export function defineExplain(program: Command): void {
  program
    .command('explain')
    .summary('explain a code and what to do next')
    .description('explain a code: what happened, whether the system is safe, what to do next')
    .addArgument(new Argument('[code]', 'as shown in reports and logs; without it, all codes'))
    .option('--json', 'print JSON')
    .action((code: string | undefined, options: { json?: boolean }) =>
      runVerb(async () => explainCode(code, options), options),
    );
}

const isCode = (text: string): text is ReasonCode => Object.hasOwn(catalogue, text);

function explainCode(text: string | undefined, { json }: { json?: boolean }): number {
  if (text !== undefined && !isCode(text))
    throw new NixmakerError('usage', `unknown code “${text}”; \`nixmaker explain\` lists them all`);
  const codes = text === undefined ? (Object.keys(catalogue) as ReasonCode[]) : [text];
  const entries = codes.map((code) => {
    const { what, next, exit } = catalogue[code];
    return { code, what, safety: safetyOf(code), next, exit, atTheDesk: atTheDesk[code] };
  });
  if (json === true) printJson({ schema: 1, codes: entries });
  else if (text === undefined) for (const { code, what } of entries) print(lines`${code}: ${what}\n`);
  else
    for (const { code, what, safety, next, exit } of entries) {
      print(lines`${what}\n${safety}\nNext: ${next}\nExit code ${exit}.\n`);
      const desk = textsFor(code, 'desk');
      if (Object.hasOwn(atTheDesk, code)) print(lines`At the desk: ${desk.what} ${desk.next}\n`);
    }
  return exitCodes.done;
}
