import type { Command } from 'commander';
import { exitCodes, NixmakerError } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import type { Side } from '../../target/activate/system-diff.ts';
import { print, printJson, printToStderr, runVerb } from '../terminal/output.ts';

interface DiffOptions {
  readonly settings?: string;
  readonly json?: boolean;
}

export function defineDiff(program: Command): void {
  program
    .command('diff')
    .summary('show what a system or a bundle changes')
    .description('show what a system or bundle changes: packages, versions, size, units, restarts')
    .argument('[system-or-bundle]', 'default: the system installed for the next start')
    .option('--settings <file>', 'this machine’s settings file')
    .option('--json', 'print JSON')
    .action((subject: string | undefined, options: DiffOptions) =>
      runVerb(() => diff(subject, options), options),
    );
}

async function diff(subject: string | undefined, { settings: file, json }: DiffOptions): Promise<number> {
  const { contextFor, openSettings, settingsFor } = await import('../../target/machine/machine.ts');
  const { roleOf } = await import('../../core/policy/settings.ts');
  const { diffSystems, systemAt } = await import('../../target/activate/system-diff.ts');
  const { describeDiff } = await import('../../report/diff.ts');
  const written = await openSettings(file);
  const settings = settingsFor(written, roleOf(written, process.getuid?.() ?? 0));
  // A mistyped name is reported before anything else.
  const named = subject === undefined ? undefined : await sideOf(subject);
  const from = await systemAt(settings.currentSystem).catch(
    nothingAt('runs here', 'run this at the machine it is for'),
  );
  const to = named ?? {
    toplevel: await systemAt(settings.profile).catch(
      nothingAt('is installed here', 'name a bundle or a system'),
    ),
  };
  const found = await diffSystems(contextFor(settings), { from, to });
  if (json === true) printJson({ schema: 1, from, to: to.toplevel, ...found });
  else {
    print(lines`From ${from}\nto   ${to.toplevel}\n\n`);
    for (const line of describeDiff(found, Number.POSITIVE_INFINITY)) print(lines`${line}\n`);
    if (to.paths !== undefined)
      printToStderr(lines`Nothing was verified. Changed units are shown once the bundle is in the store.\n`);
  }
  return exitCodes.done;
}

/** At a desk, or on a new machine. */
const nothingAt =
  (what: string, next: string) =>
  (error: NodeJS.ErrnoException): never => {
    if (error.path === undefined) throw error;
    throw new NixmakerError('usage', `no NixOS system ${what} (${error.path}); ${next}`, { cause: error });
  };

/** @throws NixmakerError `usage` if it is neither, and whatever reading a bundle throws */
async function sideOf(subject: string): Promise<Side> {
  const { stat } = await import('node:fs/promises');
  const isFile = await stat(subject).then(
    (found) => found.isFile(),
    () => false,
  );
  if (!isFile) {
    const { systemAt } = await import('../../target/activate/system-diff.ts');
    return { toplevel: await systemAt(subject) };
  }
  const { readAnyIndex } = await import('../../desk/keys/read-release.ts');
  const { manifest, index } = await readAnyIndex(subject);
  const paths = index.paths().map((path, line) => ({ path, narSize: index.narSize(line) }));
  return { toplevel: manifest.toplevel, paths };
}
