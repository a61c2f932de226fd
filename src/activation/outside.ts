/**
 * Runs a program outside the confinement of root’s unit (no network, no capabilities, almost nothing to write to), in a transient unit that
 * ends with the process waiting for it (systemd-run(1)).
 */
import type { CommandResult, ProcessRunner } from '../core/ports.ts';

export interface Outside {
  /** The unit’s name; it must be unique. */
  readonly unit: string;
  /** When systemd ends it. */
  readonly seconds: number;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export function runOutside(
  run: ProcessRunner,
  { unit, seconds, argv, env = {} }: Outside,
): Promise<CommandResult> {
  return run('systemd-run', [
    // With a pipe: unlike a switch, it serves no purpose without us.
    ...['--collect', '--no-ask-password', '--wait', '--pipe', '--quiet', '--service-type=exec'],
    ...[`--unit=${unit}`, `--property=RuntimeMaxSec=${seconds}`],
    ...['--property=WorkingDirectory=/', '--setenv=PATH'],
    ...Object.entries(env).map(([name, value]) => `--setenv=${name}=${value}`),
    '--',
    ...argv,
  ]);
}
