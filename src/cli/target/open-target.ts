/** Opening this machine to take bundles: the role decides who does root's part. */
import type { EventSink } from '../../core/ports.ts';
import type { Machine } from '../../target/machine/machine.ts';
import type { Root } from '../../target/machine/root.ts';
import { type Files, openMachineHere } from './open.ts';

export interface OpenedTarget {
  readonly machine: Machine;
  readonly root: Root;
}

/** Who does root's part. What only the other role needs is not loaded. */
export async function rootFor(machine: Machine): Promise<Root> {
  if (machine.role === 'agent') {
    const { rootByRequest } = await import('../../target/ask/by-request.ts');
    return rootByRequest(machine);
  }
  const { requireRoot } = await import('../../target/machine/machine.ts');
  const { rootDirect } = await import('../../target/root/direct.ts');
  return rootDirect(requireRoot(machine, 'activate'));
}

/** For verbs that take bundles, no matter who runs them. @throws NixmakerError of the configuration kind (exit 78) */
export async function openTarget(files: Files, emit: EventSink): Promise<OpenedTarget> {
  const machine = await openMachineHere(files, emit);
  return { machine, root: await rootFor(machine) };
}
