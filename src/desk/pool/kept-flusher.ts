/**
 * One shell for all of a command’s flushes. A flush takes a program (sync(1)), and to start one the kernel copies the tables of all our
 * memory, which grow while hosts are packed; the shell has little, and starts `sync` at once.
 */
import { createInterface } from 'node:readline';
import type { CommandResult, ProcessRunner } from '../../core/ports.ts';
import { runProgram, talkToProgram } from '../../process/run.ts';

/**
 * For each line, a folder: `sync`’s exit code and what it said, in a line. Ctrl-C ends us, and this with us, but not in the midst of a host
 * that is still to be finished.
 */
const script = `trap "" INT
while IFS= read -r folder; do
  said=$(sync --file-system "$folder" 2>&1); code=$?
  [ -z "$said" ] || said=$(printf %s "$said" | tr "\\n" " ")
  printf "%s %s\\n" "$code" "$said"
done`;

export interface KeptFlusher {
  /** Flushes by the shell; every other program is run as before. */
  readonly run: ProcessRunner;
  readonly end: () => Promise<void>;
}

/** @param otherwise runs everything else */
export function keepFlusher(otherwise: ProcessRunner = runProgram): KeptFlusher {
  const { input, output, end } = talkToProgram('/bin/sh', ['-c', script]);
  // Its end is told by there being no answer.
  input.on('error', () => undefined);
  const answers = createInterface({ input: output })[Symbol.asyncIterator]();
  const flush = async (folder: string): Promise<CommandResult> => {
    input.write(`${folder}\n`);
    const { value = '', done = false } = await answers.next();
    const [, code, said = ''] = /^(\d+) (.*)$/.exec(value as string) ?? [];
    // Never asked again: the kernel tells of what it could not write only once (fsync(2), “Errors”).
    return {
      exitCode: done || code === undefined ? undefined : Number(code),
      stdout: '',
      stderrTail: said === '' ? [] : [said],
      timedOut: false,
      startError: undefined,
    };
  };
  return {
    run: (program, args, options) => {
      const [option, folder, ...more] = args;
      const isOurs = program === 'sync' && option === '--file-system' && more.length === 0;
      // It reads lines.
      if (!isOurs || folder === undefined || folder.includes('\n')) return otherwise(program, args, options);
      return flush(folder);
    },
    end,
  };
}
