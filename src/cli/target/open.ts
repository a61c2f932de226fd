/** Opening this machine for a verb. Here, where a process starts, its role is settled, and who does root's part. */
import { roleOf } from '../../core/policy/settings.ts';
import type { EventSink } from '../../core/ports.ts';
import type { Machine, RootMachine } from '../../target/machine/machine.ts';
import type { Root } from '../../target/machine/root.ts';

interface Files {
  readonly settingsFile?: string | undefined;
  readonly policyFile?: string | undefined;
}

/** @throws NixmakerError of the configuration kind (exit 78) */
export async function openMachineHere(files: Files, emit: EventSink): Promise<Machine> {
  const { openMachine, openSettings } = await import('../../target/machine/machine.ts');
  const settings = await openSettings(files.settingsFile);
  return openMachine({ files, settings, role: roleOf(settings, process.getuid?.() ?? 0), emit });
}

export interface OpenedTarget {
  readonly machine: Machine;
  readonly root: Root;
}

/** Who does root's part. What the other role would load is not loaded. */
export async function rootFor(machine: Machine): Promise<Root> {
  if (machine.role === 'agent') {
    const { rootByRequest } = await import('../../target/ask/by-request.ts');
    return rootByRequest(machine);
  }
  const { requireRoot } = await import('../../target/machine/machine.ts');
  const { rootDirect } = await import('../../target/root/direct.ts');
  return rootDirect(requireRoot(machine, 'activate'));
}

/** For verbs that take bundles, whoever runs them. @throws NixmakerError of the configuration kind (exit 78) */
export async function openTarget(files: Files, emit: EventSink): Promise<OpenedTarget> {
  const machine = await openMachineHere(files, emit);
  return { machine, root: await rootFor(machine) };
}

/** For verbs that are root's. @param what it is about to do, for people @throws NixmakerError `usage` */
export async function openAsRoot(files: Files, emit: EventSink, what: string): Promise<RootMachine> {
  const { requireRoot } = await import('../../target/machine/machine.ts');
  return requireRoot(await openMachineHere(files, emit), what);
}
