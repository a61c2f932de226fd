/** What nixmaker-activate.service does: small, without network access, started by a request from the agent. */
import { NixmakerError } from '../../core/errors.ts';
import {
  activationRequests,
  keyringRequests,
  roomRequests,
  stagedRequests,
  vouchRequests,
} from '../../state/requests.ts';
import { runAfterHook } from '../activate/after-commit.ts';
import { resumeStopped } from '../activate/resume.ts';
import { tidyUp } from '../activate/tidy.ts';
import type { RootMachine } from '../machine/machine.ts';
import { withLock } from '../machine/with-lock.ts';
import { completeReceipts, serveActivations } from './activation.ts';
import { dropLost } from './drop-lost.ts';
import { acceptKeyring } from './keyring.ts';
import { serveRooms } from './make-room.ts';
import { requestReboot } from './reboot.ts';
import { isAnyAsked, serveAll, tellRejected } from './serve-requests.ts';
import { settleStaged } from './settle-staged.ts';
import { reviewStaged, serveStaged } from './staged.ts';
import { adoptRunningSystem } from './store-key.ts';
import { serveVouchers } from './vouch.ts';

/** Seconds to wait for a command line that holds the lock. */
const lockWait = '600';

/** Finishes what stopped midway, then serves requests until none is left. Once after each start of the machine, it looks at the store. */
export async function serveAgent(machine: RootMachine): Promise<void> {
  await serveWhatIsThere(machine);
  // Whoever has committed meanwhile asked for this unit, which was running.
  if (await dropLost(machine, () => isAnyAsked(machine, kinds))) await serveWhatIsThere(machine);
}

/** As nixmaker-activate.path. */
const kinds = [keyringRequests, vouchRequests, roomRequests, activationRequests, stagedRequests];

async function serveWhatIsThere(machine: RootMachine): Promise<void> {
  const serveAllKinds = async () => {
    await resumeStopped(machine);
    await runAfterHook(machine);
    await adoptRunningSystem(machine);
    await completeReceipts(machine);
    // Keyrings come before bundles, which may be signed by new keys.
    await settleStaged(machine);
    await allOf([serveKeyrings, serveVouchers, serveRooms, serveActivations, serveStaged], machine);
    await reviewStaged(machine);
    await tidyUp(machine);
  };
  await withLock(machine, serveAllKinds, ['--timeout', lockWait]);
  await requestReboot(machine);
}

/** If the policy, settings or keyring are unusable: finishes what stopped midway, and looks at no request. */
export function endStopped(machine: RootMachine): Promise<void> {
  const end = async () => {
    await resumeStopped(machine);
    await completeReceipts(machine);
  };
  return withLock(machine, end, ['--timeout', lockWait]);
}

/** A failure in one kind does not hold up the others. @throws the first error thrown */
async function allOf(
  kinds: readonly ((machine: RootMachine) => Promise<void>)[],
  machine: RootMachine,
): Promise<void> {
  const failures: unknown[] = [];
  for (const serve of kinds) await serve(machine).catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

function serveKeyrings(machine: RootMachine): Promise<void> {
  return serveAll(machine, keyringRequests, async ({ envelope }, { acknowledge }) => {
    await acknowledge();
    await acceptKeyring(machine, envelope).catch((error: unknown) =>
      tellRejected(machine, 'keyring', describe(error)),
    );
  });
}

const describe = (error: unknown) =>
  error instanceof NixmakerError ? `${error.code}: ${error.detail}` : String(error);
