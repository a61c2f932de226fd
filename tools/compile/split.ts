/** One file of a program’s chunks (code.ts), of what esbuild makes of its modules. */
import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { Script } from 'node:vm';
import { type BuildOptions, build, type Metafile } from 'esbuild';
import { type Layout, type Place, stampLine } from './code.ts';
import { link } from './link.ts';

export interface Split {
  readonly code: string;
  readonly layout: Layout;
  /** Of the packages in it. */
  readonly licenses: string;
}

/** @param options where the checkout is, and what esbuild makes of it @param entry the program’s first module */
export async function split(options: BuildOptions, entry: string): Promise<Split> {
  const { outputFiles, metafile } = await build({
    ...options,
    entryPoints: { [entryName]: entry },
    outdir: '.',
    write: false,
    metafile: true,
    format: 'esm',
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    legalComments: 'linked',
    define: { 'import.meta.url': '__here' },
  });
  const at = String(options.absWorkingDir);
  const textOf = new Map(outputFiles.map(({ path, text }) => [posix.relative(at, path), text]));
  const chunks = chunksInOrder(metafile);
  const numbers = new Map(chunks.map((path, number) => [path, number]));
  const functions = chunks.map((path) =>
    link({ path, text: textOf.get(path) ?? '' }, (specifier) =>
      numbers.get(posix.join(posix.dirname(path), specifier)),
    ),
  );
  const licenses = [...textOf].filter(([path]) => path.endsWith('.LEGAL.txt')).map(([, text]) => text);
  return { ...layOut(functions), licenses: [...new Set(licenses)].sort().join('\n') };
}

const entryName = 'main';

/** The program’s first module, then the others. */
function chunksInOrder({ outputs }: Metafile): string[] {
  const first = `${entryName}.js`;
  const others = Object.keys(outputs).filter((path) => path.endsWith('.js') && path !== first);
  return [first, ...others.sort()];
}

function layOut(functions: readonly string[]): Omit<Split, 'licenses'> {
  // What only a module may have, such as `await` outside a function, would be noticed when the chunk is first needed.
  for (const text of functions) new Script(text);
  const stamp = createHash('sha256').update(functions.join('\n')).digest('hex').slice(0, 32);
  const places: Place[] = [];
  let code = stampLine(stamp);
  let line = 1;
  for (const text of functions) {
    places.push([code.length, text.length + 1, line]);
    code += `${text}\n${stampLine(stamp)}`;
    line += text.split('\n').length + 1;
  }
  return { code, layout: { places, stamp } };
}
