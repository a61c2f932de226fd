/** What nixmaker-repair.service does: the only unit of root’s that writes to the store’s folder, and that can do little else. */
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { writeRepairAnswer } from '../../state/repairs.ts';
import { repairRequests } from '../../state/requests.ts';
import type { RootMachine } from '../machine/machine.ts';
import { makeStoreWritable, repairDamaged } from './repair.ts';
import { serveAll, tellRejected } from './serve-requests.ts';

/** Serves the agent’s requests. Each stays until it is answered: if we are killed in between, it is served again. */
export function serveRepairs(machine: RootMachine): Promise<void> {
  return serveAll(machine, repairRequests, async ({ transaction }, { acknowledge }) => {
    try {
      const refusal = await repairIfAllowed(machine);
      if (refusal !== undefined) tellRejected(machine, 'repair', refusal);
      const answer = refusal === undefined ? {} : { refusal };
      await writeRepairAnswer(machine.settings.activationDirectory, transaction, answer);
    } finally {
      await acknowledge();
    }
  });
}

/** @returns why not, if not */
async function repairIfAllowed(machine: RootMachine): Promise<string | undefined> {
  if (machine.policy.repair !== 'automatic')
    return `operation-forbidden: the policy has \`repair: ${machine.policy.repair}\``;
  try {
    await makeStoreWritable(machine);
    await repairDamaged(machine);
    return undefined;
  } catch (error) {
    return error instanceof NixmakerError ? `${error.code}: ${error.detail}` : messageOf(error);
  }
}
