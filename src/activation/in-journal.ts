/**
 * Runs a program in a transient unit of its own, as root without any confinement, which outlives us and whose output goes to the system’s
 * journal (systemd-run(1)).
 */
import type { CommandResult, ProcessRunner } from '../core/ports.ts';

export interface InJournal {
  /** The unit’s name, without `.service`; it must be unique. */
  readonly unit: string;
  /** When systemd ends everything in it. */
  readonly seconds: number;
  readonly argv: readonly string[];
  /** Further options of systemd-run. */
  readonly options?: readonly string[];
}

export interface EndedInJournal extends CommandResult {
  /** What it printed; empty if the journal can’t be read. */
  readonly said: readonly string[];
}

/** Lines read, more than are kept: a switch prints its failures before the status of each unit. */
const linesRead = 5000;

/** Milliseconds. */
const syncDeadline = 10_000;

/**
 * As nixos-rebuild does it, but without a pipe: if the reader died, the program would die with it (nixpkgs #462179). Its output is read
 * from the journal.
 */
export async function runInJournal(
  run: ProcessRunner,
  { unit, seconds, argv, options = [] }: InJournal,
): Promise<EndedInJournal> {
  const result = await run(
    'systemd-run',
    [
      ...['--collect', '--no-ask-password', '--wait', '--service-type=exec', `--unit=${unit}`],
      ...['--property=WorkingDirectory=/', `--property=RuntimeMaxSec=${seconds}`, ...options],
      ...['--', ...argv],
    ],
    { cwd: '/' },
  );
  if (result.startError !== undefined) return { ...result, said: [] };
  // What it printed last may not have been read yet by the journal’s own service.
  await run('journalctl', ['--sync'], { timeout: syncDeadline });
  // Only the unit’s own processes: with `--unit`, systemd’s “Failed with result” would be the last word.
  const journal = await run('journalctl', [
    ...[`_SYSTEMD_UNIT=${unit}.service`, '--output=cat', '--no-pager', `--lines=${linesRead}`],
  ]);
  const said = journal.exitCode === 0 ? journal.stdout.split('\n').filter((l) => l !== '') : [];
  // systemd-run passes on the exit code of what it ran; a timeout it reports only in words.
  const timedOut = result.stderrTail.some((line) => line.includes('Finished with result: timeout'));
  return { ...result, timedOut, said };
}
