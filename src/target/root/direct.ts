/** The port to root (machine/root.ts) for a process that is root’s side as well. */
import { NixSignatures } from '../../core/release/nix-signatures.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { activate } from '../activate/activate.ts';
import { runAfterHook } from '../activate/after-commit.ts';
import { resumeStopped } from '../activate/resume.ts';
import { tidyUp } from '../activate/tidy.ts';
import type { RootMachine } from '../machine/machine.ts';
import type { AskedActivation, Root, SignedRelease } from '../machine/root.ts';
import { acceptKeyring } from './keyring.ts';
import { makeRoom } from './make-room.ts';
import { repairHere } from './repair.ts';
import { requireSigned } from './require-signed.ts';
import { settleStaged } from './settle-staged.ts';
import { activateOrStage, activateStaged, reviewStaged, stage } from './staged.ts';
import { adoptRunningSystem } from './store-key.ts';
import { serveVisit } from './visit.ts';
import { signPaths } from './vouch.ts';

/** Staged only if nobody asked for it by hand. */
async function activateSigned(
  machine: RootMachine,
  { release, wait, ...asked }: AskedActivation & { readonly release: SignedRelease },
): Promise<Receipt> {
  const { transaction, unattended } = asked;
  const { verified, index } = release;
  await requireSigned(machine, { transaction, manifest: verified.manifest, index });
  if (wait !== undefined) return stage(machine, { transaction, release }, wait);
  return unattended ? activateOrStage(machine, { ...asked, release }) : activate(machine, asked);
}

/** What follows a commit. @returns the receipt, with what came of it */
async function afterwards(machine: RootMachine, receipt: Receipt): Promise<Receipt> {
  const followed = await runAfterHook(machine);
  const told = followed?.transaction === receipt.transaction ? followed : receipt;
  const tidied = await tidyUp(machine);
  return tidied?.transaction === told.transaction ? { ...told, freed: tidied.freed } : told;
}

export function rootDirect(machine: RootMachine): Root {
  return {
    activate: async ({ release, wait, ...asked }) => {
      const receipt =
        release === undefined
          ? await activate(machine, asked)
          : await activateSigned(machine, { release, wait, ...asked });
      await reviewStaged(machine);
      return afterwards(machine, receipt);
    },
    activateStaged: async () => {
      const receipt = await activateStaged(machine);
      return receipt === undefined ? undefined : afterwards(machine, receipt);
    },
    makeRoom: (asked) => makeRoom(machine, asked),
    repair: () => repairHere(machine),
    vouch: async ({ release: { index } }) => NixSignatures.parse(await signPaths(machine, index), index),
    acceptKeyring: async ({ envelope }) => {
      await acceptKeyring(machine, envelope);
    },
    endVisit: (visit) => serveVisit(machine, visit),
    resume: async () => {
      await adoptRunningSystem(machine);
      const receipts = await resumeStopped(machine);
      await runAfterHook(machine);
      await settleStaged(machine);
      await tidyUp(machine);
      return receipts;
    },
  };
}
