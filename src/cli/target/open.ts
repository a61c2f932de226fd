/** Opening this machine for a verb. Here, where a process starts, its role is decided. */
import { roleOf } from '../../core/policy/settings.ts';
import type { EventSink } from '../../core/ports.ts';
import type { Machine, RootMachine } from '../../target/machine/machine.ts';

export interface Files {
  readonly settingsFile?: string | undefined;
  readonly policyFile?: string | undefined;
}

/** @throws NixmakerError of the configuration kind (exit 78) */
export async function openMachineHere(files: Files, emit: EventSink): Promise<Machine> {
  const { openMachine, openSettings } = await import('../../target/machine/machine.ts');
  const settings = await openSettings(files.settingsFile);
  return openMachine({ files, settings, role: roleOf(settings, process.getuid?.() ?? 0), emit });
}

/** For verbs that are root's. @param what it is about to do, for people @throws NixmakerError `usage` */
export async function openAsRoot(files: Files, emit: EventSink, what: string): Promise<RootMachine> {
  const { requireRoot } = await import('../../target/machine/machine.ts');
  return requireRoot(await openMachineHere(files, emit), what);
}
