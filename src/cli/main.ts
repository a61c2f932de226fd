/** The command line. */
import { readFileSync } from 'node:fs';
import { hasErrno } from '../core/errno.ts';
import { exitCodes } from '../core/errors.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

// The reader may go first (`nixmaker list | head`), or run out of room. The work goes on and ends as usual: a switch is not cut off midway,
// and `verify` still says no by its exit code. Output that could not be written is not a success.
let isLost = false;
process.stdout.on('error', (error: Error) => {
  if (isLost || hasErrno(error, 'EPIPE', 'ERR_STREAM_DESTROYED')) return;
  isLost = true;
  process.stderr.write(
    `nixmaker: cannot write to standard output (${(error as NodeJS.ErrnoException).code})\n`,
  );
});
process.stderr.on('error', () => undefined);

// Scripts use it to see whether nixmaker is there; it needs none of the verbs.
if (process.argv.length === 3 && ['--version', '-V'].includes(process.argv[2] ?? '')) {
  process.stdout.write(`${version}\n`);
  process.exit(exitCodes.done);
}

// No top-level `await`, which the single installed file can't have (tools/compile/main.ts). So a verb that waits for
// something that never comes would end as if all were well.
process.on('exit', () => {
  process.exitCode ??= exitCodes.fault;
  if (isLost && process.exitCode === exitCodes.done) process.exitCode = exitCodes.fault;
});

/** In our own words: Node.js would print what was thrown unescaped, including anything that acts on a terminal. */
async function fail(error: unknown): Promise<void> {
  try {
    const { printFault } = await import('./terminal/output.ts');
    printFault(error);
  } catch {
    // Thrown again, it would come back to here, for ever.
    process.stderr.write(
      'nixmaker: the installation is damaged, so what went wrong can’t be told; install it again\n',
    );
  }
  process.exit(exitCodes.fault);
}

process.on('uncaughtException', (error) => void fail(error));

async function main(): Promise<void> {
  try {
    const { makeProgram } = await import('./program.ts');
    const program = await makeProgram(version, process.argv[2]);
    await program.parseAsync();
    process.exitCode ??= exitCodes.done;
  } catch (error) {
    const { CommanderError } = await import('commander');
    if (!(error instanceof CommanderError)) return fail(error);
    process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  }
}

void main();
