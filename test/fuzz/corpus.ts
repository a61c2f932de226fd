/** Inputs that are kept, a file each in a folder for each target: whatever reached something new, and whatever was a finding. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const corpusOf = (target: string) => join(import.meta.dirname, 'corpus', target);

/** Files whose names are no digests were put there by hand: findings that were mended. They stay. */
const isMade = (name: string) => /^[0-9a-f]{16}$/.test(name);

const nameOf = (data: Buffer) => createHash('sha256').update(data).digest('hex').slice(0, 16);

export async function readCorpus(target: string): Promise<Buffer[]> {
  const folder = corpusOf(target);
  const names = await readdir(folder).catch(() => []);
  return Promise.all(names.sort().map((name) => readFile(join(folder, name))));
}

/** In the place of what was there, but for what was put there by hand. */
export async function writeCorpus(target: string, inputs: readonly Buffer[]): Promise<void> {
  const folder = corpusOf(target);
  await mkdir(folder, { recursive: true });
  const wanted = new Map(inputs.map((data) => [nameOf(data), data]));
  for (const name of await readdir(folder))
    if (isMade(name) && !wanted.has(name)) await rm(join(folder, name));
  for (const [name, data] of wanted) await writeFile(join(folder, name), data);
}

/** @returns where it is now */
export async function writeFinding(target: string, data: Buffer): Promise<string> {
  const folder = join(import.meta.dirname, 'found', target);
  await mkdir(folder, { recursive: true });
  const path = join(folder, nameOf(data));
  await writeFile(path, data);
  return path;
}
