/** The port to root (machine/root.ts) where this process is root’s side as well. */
import { activate } from '../activate/activate.ts';
import { resumeStopped } from '../activate/resume.ts';
import type { RootMachine } from '../machine/machine.ts';
import type { Root } from '../machine/root.ts';
import { acceptKeyring } from './keyring.ts';
import { requireSigned } from './require-signed.ts';
import { adoptRunningSystem } from './store-key.ts';
import { serveVisit } from './visit.ts';
import { signPaths } from './vouch.ts';

export function rootDirect(machine: RootMachine): Root {
  return {
    activate: async ({ manifest, ...asked }) => {
      if (manifest !== undefined) await requireSigned(machine, asked.transaction, manifest);
      return activate(machine, asked);
    },
    vouch: ({ verified }) => signPaths(machine, verified.manifest),
    acceptKeyring: async ({ envelope }) => {
      await acceptKeyring(machine, envelope);
    },
    endVisit: (visit) => serveVisit(machine, visit),
    resume: async () => {
      await adoptRunningSystem(machine);
      return resumeStopped(machine);
    },
  };
}
