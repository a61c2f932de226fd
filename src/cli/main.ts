#!/usr/bin/env node
/** The command line. */
import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { exitCodes } from '../core/errors.ts';
import { makeProgram } from './program.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

// `nixmaker list | head` ends our reader first; that is no fault of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.done);
  throw error;
});

try {
  await makeProgram(version).parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
}
