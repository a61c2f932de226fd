/** npm run docs: writes what the documentation takes from the code. `--check` fails where a file is out of date. */
import { readFile, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { catalogue, safetyOf } from '../src/core/catalogue.ts';
import type { ReasonCode } from '../src/core/errors.ts';
import { policyParser } from '../src/core/policy.ts';

function codes(): string {
  const entries = Object.entries(catalogue) as [ReasonCode, (typeof catalogue)[ReasonCode]][];
  const sections = entries.map(
    ([code, { exit, what, next }]) =>
      `### \`${code}\`\n\n${what} ${safetyOf(code)}\n\n**Next:** ${next}\n\nExit code ${exit}.\n`,
  );
  return `# Codes\n\nWritten by \`npm run docs\` from \`src/core/catalogue.ts\`; do not edit.\n\n${sections.join('\n')}`;
}

/** For editors: what a policy file may hold. Rules that bind several keys are checked by `nixmaker check-policy` only. */
function policySchema(): string {
  const schema = z.toJSONSchema(policyParser, { io: 'input', unrepresentable: 'any' });
  return `${JSON.stringify({ ...schema, title: 'nixmaker policy' }, null, 2)}\n`;
}

const files = { 'codes.md': codes(), 'policy.schema.json': policySchema() };

for (const [name, text] of Object.entries(files)) {
  const path = new URL(`../docs/${name}`, import.meta.url);
  if (!process.argv.includes('--check')) await writeFile(path, text);
  else if ((await readFile(path, 'utf8')) !== text)
    throw new Error(`docs/${name} is out of date: run \`npm run docs\``);
}
