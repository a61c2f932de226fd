/** The port to root (machine/root.ts) for a process that is root’s side as well. */
import { NixSignatures } from '../../core/release/nix-signatures.ts';
import { activate } from '../activate/activate.ts';
import { runAfterHook } from '../activate/after-commit.ts';
import { resumeStopped } from '../activate/resume.ts';
import { tidyUp } from '../activate/tidy.ts';
import type { RootMachine } from '../machine/machine.ts';
import type { Root } from '../machine/root.ts';
import { acceptKeyring } from './keyring.ts';
import { makeRoom } from './make-room.ts';
import { repairHere } from './repair.ts';
import { requireSigned } from './require-signed.ts';
import { adoptRunningSystem } from './store-key.ts';
import { serveVisit } from './visit.ts';
import { signPaths } from './vouch.ts';

export function rootDirect(machine: RootMachine): Root {
  return {
    activate: async ({ release, ...asked }) => {
      const { transaction } = asked;
      if (release !== undefined) {
        const { verified, index } = release;
        await requireSigned(machine, { transaction, manifest: verified.manifest, index });
      }
      const receipt = await activate(machine, asked);
      const followed = await runAfterHook(machine);
      const told = followed?.transaction === receipt.transaction ? followed : receipt;
      const tidied = await tidyUp(machine);
      return tidied?.transaction === told.transaction ? { ...told, freed: tidied.freed } : told;
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
      await tidyUp(machine);
      return receipts;
    },
  };
}
