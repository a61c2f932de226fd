/** Opens this machine for a verb. Its role is decided here, where a process starts. */
import { NixmakerError } from '../../core/errors.ts';
import { roleOf } from '../../core/policy/settings.ts';
import type { EventSink } from '../../core/ports.ts';
import type { Machine, RootMachine } from '../../target/machine/machine.ts';

export interface Files {
  readonly settingsFile?: string | undefined;
  readonly policyFile?: string | undefined;
}

/**
 * Everything created from here on, by us or by what we start, has the modes a service gives it: systemd’s umask. Threat: one command from a
 * root shell under `umask 077`, and the agent can’t read root’s journal any more. Secret files have their own mode.
 */
export function withServiceUmask(): void {
  process.umask(0o022);
}

/** @throws NixmakerError of the configuration kind (exit 78) */
export async function openMachineHere(files: Files, emit: EventSink): Promise<Machine> {
  withServiceUmask();
  const { openMachine, openSettings } = await import('../../target/machine/machine.ts');
  const settings = await openSettings(files.settingsFile);
  return openMachine({ files, settings, role: roleOf(settings, process.getuid?.() ?? 0), emit });
}

/** For root's verbs. @param what it is about to do, for people @throws NixmakerError `usage` */
export async function openAsRoot(files: Files, emit: EventSink, what: string): Promise<RootMachine> {
  const { requireRoot } = await import('../../target/machine/machine.ts');
  return requireRoot(await openMachineHere(files, emit), what);
}

export interface OpenedToUndo {
  readonly machine: RootMachine;
  /** Why nothing else can be done. */
  readonly problem: NixmakerError | undefined;
}

/**
 * For root’s verbs that end or undo what was begun: they have to work even if policy, settings or keyring can’t be used, because the new
 * system may be what made them so.
 * @throws NixmakerError `usage`
 */
export async function openAsRootToUndo(files: Files, emit: EventSink, what: string): Promise<OpenedToUndo> {
  const { openSalvagedSettings, openToUndo, requireRoot } = await import('../../target/machine/machine.ts');
  try {
    return { machine: await openAsRoot(files, emit, what), problem: undefined };
  } catch (problem) {
    if (!(problem instanceof NixmakerError) || problem.code === 'usage') throw problem;
    const settings = await openSalvagedSettings(files.settingsFile);
    const role = roleOf(settings, process.getuid?.() ?? 0);
    const machine = requireRoot(await openToUndo({ files, settings, role, emit }), what);
    emit({ event: 'opened-to-undo', level: 'error', code: problem.code, detail: problem.detail });
    return { machine, problem };
  }
}
