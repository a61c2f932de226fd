/** What people read, and what stands in it as code. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const checkout = new URL('../..', import.meta.url).pathname;
export const read = (path: string): string => readFileSync(join(checkout, path), 'utf8');

export const namesBelow = (folder: string, ending: string): string[] =>
  readdirSync(join(checkout, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name));

export const documents: readonly string[] = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...namesBelow('docs', '.md'),
];

export interface Code {
  readonly document: string;
  readonly text: string;
}

/** Blocks of a language, whole. */
export const blocksIn = (text: string, language: string): string[] =>
  [...text.matchAll(/^ *```(\w*)\n([\s\S]*?)^ *```/gm)]
    .filter(([, named]) => named === language)
    .map(([, , block = '']) => block);

/** What stands in back quotes within a sentence, on one line. */
export function spansIn(text: string): string[] {
  const plain = text.replace(/^ *```[\s\S]*?^ *```/gm, '');
  return [...plain.matchAll(/``\s*(.+?)\s*``|`([^`\n]+)`/g)].map(([, a, b]) => (a ?? b ?? '').trim());
}

/** Lines that a shell is given, without what is said about them. */
export const commandsIn = (text: string): string[] =>
  blocksIn(text, 'sh').flatMap((block) =>
    block
      .replaceAll('\\\n', ' ')
      .split('\n')
      .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
      .filter((line) => line !== ''),
  );

export const inAll = (find: (text: string) => string[]): Code[] =>
  documents.flatMap((document) => find(read(document)).map((text) => ({ document, text })));
