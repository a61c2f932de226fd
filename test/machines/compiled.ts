/**
 * nixmaker as it is installed, in a few files, with the programs of the tests that are made of its parts: hundreds of sources
 * cost more to start than what is tested, and in virtual machines every file that is opened costs, too. Compiled once a run
 * (scripts/test says where it is), or once for the sources as they are.
 */
import { join } from 'node:path';

/** Holds `package.json` and `dist/`. */
export const compiled = process.env.NIXMAKER_COMPILED ?? (await (await import('./compile.ts')).compile());

const program = (name: string) => join(compiled, 'dist', `${name}.cjs`);

/** The command line. */
export const main = program('cli/main');
export const killedRun = program('machines/killed-run');
export const asBootedMain = program('machines/as-booted');

/** Where it lies in a machine. */
export const compiledAt = '/opt/compiled';
export const compiledNode = `${compiledAt}/node`;
export const compiledMain = `${compiledAt}/dist/cli/main.cjs`;
export const compiledHeld = `${compiledAt}/dist/machines/held-service.cjs`;
