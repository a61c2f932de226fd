/** Exit codes in words, for help and nixmaker(1). */
import { type ExitCode, exitCodes } from '../../core/errors.ts';

const words: Readonly<Record<keyof typeof exitCodes, string>> = {
  done: 'success',
  fault: 'a fault around the bundle',
  usage: 'wrong usage',
  badBundle: 'bad bundle, or not signed by a trusted key',
  nixUnavailable: 'Nix is not responding',
  deferred: 'not now; try again later',
  refusedByPolicy: 'refused by policy or history',
  badConfiguration: 'invalid policy or settings',
  interrupted: 'interrupted',
};

/** In numerical order. */
export const exitWords: readonly (readonly [ExitCode, string])[] = (
  Object.entries(exitCodes) as [keyof typeof exitCodes, ExitCode][]
).map(([name, code]) => [code, words[name]]);
