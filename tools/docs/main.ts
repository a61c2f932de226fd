/** npm run docs: writes the documentation that comes from the code. `--check` fails if a file is out of date. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { makeProgram } from '../../src/cli/program.ts';
import { catalogue, safetyOf } from '../../src/core/catalogue.ts';
import { atTheDesk, textsFor } from '../../src/core/catalogue-desk.ts';
import type { ReasonCode } from '../../src/core/errors.ts';
import { policyParser } from '../../src/core/policy/policy.ts';
import { makeBuilder } from '../../test/machines/builder.ts';
import { run } from '../../test/machines/program.ts';
import { attackCategories, readAttacks } from '../../test/support/attack-files.ts';
import { insideAttacks } from '../../test/support/inside-attacks.ts';
import { evaluateModule, optionsDocument } from '../../test/support/module-output.ts';
import { commandsDocument } from './commands.ts';
import { bashCompletion, fishCompletion, verbsOf, zshCompletion } from './completions.ts';
import { journalCatalogue } from './journal-catalogue.ts';
import { jsonDocuments } from './json/main.ts';
import { commandPage, policyPage } from './manual-pages.ts';

function deskTexts(code: ReasonCode): string {
  if (!Object.hasOwn(atTheDesk, code)) return '';
  const { what, next } = textsFor(code, 'desk');
  return `**At the desk:** ${what} ${next}\n\n`;
}

function codes(): string {
  const entries = Object.entries(catalogue) as [ReasonCode, (typeof catalogue)[ReasonCode]][];
  const sections = entries.map(
    ([code, { exit, what, next }]) =>
      `### \`${code}\`\n\n${what} ${safetyOf(code)}\n\n**Next:** ${next}\n\n${deskTexts(code)}Exit code ${exit}.\n`,
  );
  return `# Codes\n\nWritten by \`npm run docs\` from \`src/core/catalogue.ts\`; do not edit.\n\n${sections.join('\n')}`;
}

/** For editors: what a policy file may hold. Rules that involve several keys are checked by `nixmaker check-policy` only. */
function policySchema(): string {
  const schema = z.toJSONSchema(policyParser, { io: 'input', unrepresentable: 'any' });
  return `${JSON.stringify({ ...schema, title: 'nixmaker policy' }, null, 2)}\n`;
}

/** The attack suite: what each attack is after, and how it is refused. */
async function attacks(): Promise<string> {
  const all = await readAttacks();
  const sections = attackCategories.map((category) => {
    const rows = all
      .filter((attack) => attack.category === category)
      .map(({ name, threat, refusedAs: [code] }) => `| ${name} | ${threat} | \`${code}\` |`);
    const title = `${category[0]?.toUpperCase()}${category.slice(1)}`;
    return `## ${title}\n\n| Attack | What it is after | Refused as |\n|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `# Attacks

Written by \`npm run docs\` from \`test/attacks/\`, one file per attack; do not edit. \`npm test\` makes each of them and gives it to
\`nixmaker verify\` and to a running agent on a real target: it must be refused with this code within two seconds, leave no new valid
store path and no file outside nixmaker’s own places, and the next good bundle must be taken. Many are signed with a key that the target
trusts, so that only the check in question can refuse them.

${sections.join('\n')}
${attacksFromInside()}`;
}

/** What no file can show: by whom, what must happen, and which test checks it. */
function attacksFromInside(): string {
  const sections = Object.entries(insideAttacks).map(([attacker, attacks]) => {
    const rows = attacks.map(({ attack, outcome, file, name }) => {
      const test = file.replace(/\.(?:test|vm)\.ts$/, '');
      return `| ${attack} | ${outcome} | \`${test}\`: “${name}” |`;
    });
    return `### ${attacker}\n\n| Attack | What must happen | Test |\n|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `## From inside

By somebody who is already on the machine, holds a key, may drop files, hands over a medium, or reports to the desk. Each has a test of
its own (\`test/support/inside-attacks.ts\`).

${sections.join('\n')}`;
}

/** The NixOS module’s options, evaluated by Nix. */
async function options(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nixmaker-docs-'));
  try {
    const builder = await makeBuilder(folder);
    return optionsDocument(
      (await evaluateModule(builder, '{ services.nixmaker.enable = true; }')).documentation,
    );
  } finally {
    await run('chmod', ['--recursive', 'u+w', folder]);
    await rm(folder, { recursive: true, force: true });
  }
}

const program = await makeProgram('');
const verbs = verbsOf(program);
const share = {
  'systemd/nixmaker.catalog': journalCatalogue(),
  'man/man1/nixmaker.1': commandPage(program),
  'man/man5/nixmaker-policy.5': policyPage(
    await readFile(new URL('../../docs/policy.md', import.meta.url), 'utf8'),
  ),
  'bash-completion/completions/nixmaker': bashCompletion(verbs),
  'fish/vendor_completions.d/nixmaker.fish': fishCompletion(verbs),
  'zsh/site-functions/_nixmaker': zshCompletion(verbs),
};
const docs = {
  'codes.md': codes(),
  'policy.schema.json': policySchema(),
  'attacks.md': await attacks(),
  'options.md': await options(),
  'commands.md': commandsDocument(program),
  ...jsonDocuments(),
};
const files = [
  ...Object.entries(docs).map(([name, text]) => [`docs/${name}`, text] as const),
  ...Object.entries(share).map(([name, text]) => [`share/${name}`, text] as const),
];

for (const [name, text] of files) {
  const path = new URL(`../../${name}`, import.meta.url);
  if (!process.argv.includes('--check')) {
    await mkdir(new URL('.', path), { recursive: true });
    await writeFile(path, text);
  } else if ((await readFile(path, 'utf8')) !== text)
    throw new Error(`${name} is out of date: run \`npm run docs\``);
}
