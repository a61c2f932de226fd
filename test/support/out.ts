/** What a run of the tests has found out, kept where a person finds it: test/out/. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkout } from '../machines/program.ts';

export async function keepTable(name: string, contents: Readonly<Record<string, unknown>>): Promise<void> {
  const folder = join(checkout, 'test', 'out');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify({ schema: 1, ...contents }, null, 2)}\n`);
}
