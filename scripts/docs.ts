/** npm run docs: writes what the documentation takes from the code. `--check` fails where a file is out of date. */
import { readFile, writeFile } from 'node:fs/promises';
import { catalogue, safetyOf } from '../src/core/catalogue.ts';
import type { ReasonCode } from '../src/core/errors.ts';

const path = new URL('../docs/codes.md', import.meta.url);

function codes(): string {
  const entries = Object.entries(catalogue) as [ReasonCode, (typeof catalogue)[ReasonCode]][];
  const sections = entries.map(
    ([code, { exit, what, next }]) =>
      `### \`${code}\`\n\n${what} ${safetyOf(code)}\n\n**Next:** ${next}\n\nExit code ${exit}.\n`,
  );
  return `# Codes\n\nWritten by \`npm run docs\` from \`src/core/catalogue.ts\`; do not edit.\n\n${sections.join('\n')}`;
}

if (!process.argv.includes('--check')) await writeFile(path, codes());
else if ((await readFile(path, 'utf8')) !== codes())
  throw new Error('docs/codes.md is out of date: run `npm run docs`');
