/**
 * Something to go back to. A machine may run a system that has no generation in the profile: it was installed by other means, its profile
 * is a plain link into the store, or the links were cleared away. Boot loader and profile could then lead to the new system, and to no
 * other.
 */
import { guardSystem } from '../../activation/switch.ts';
import { given } from '../../core/given.ts';
import { readProfile, readSystemLink, setProfile } from '../../nix/profile.ts';
import type { Machine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';

/**
 * Makes a generation of what is installed or, if nothing is, of what is running. Does no harm if the run goes no further.
 * @throws NixmakerError `not-a-system`, `nix-failed`
 */
export async function ensureWayBack(
  machine: Pick<Machine, 'nix' | 'settings'>,
  transaction: Transaction,
): Promise<void> {
  const { previousGeneration, previousToplevel } = transaction.known;
  if (previousGeneration !== undefined && previousToplevel !== undefined) return;
  const { profile, currentSystem } = machine.settings;
  const installed = await readProfile(profile);
  const toplevel = installed.toplevel ?? (await readSystemLink(currentSystem));
  // A machine on which nothing runs yet: an image being built.
  if (toplevel === undefined) return;
  await guardSystem(toplevel);
  await setProfile(machine.nix, { profile, toplevel });
  const { generation } = await readProfile(profile);
  transaction.learn(given({ previousToplevel: toplevel, previousGeneration: generation }));
  transaction.notice(
    `The profile had no generation for the system to go back to, so generation ${generation ?? 'unknown'} was created for it first.`,
  );
}
