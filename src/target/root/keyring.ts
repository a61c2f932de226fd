/** Accepts keyrings: on the agent’s request, or by hand at the machine. */
import { storeKeyring } from '../../state/keyring.ts';
import { verifyKeyringHere } from '../machine/keyring.ts';
import type { RootMachine } from '../machine/machine.ts';
import { withLock } from '../machine/with-lock.ts';

/** Verifies and keeps it. @returns its version @throws NixmakerError as `verifyKeyring` */
export async function acceptKeyring(machine: RootMachine, envelope: string): Promise<number> {
  const { keyring, text } = await verifyKeyringHere(machine, envelope);
  await storeKeyring(machine.floorDirectory, text);
  await machine.reloadKeyring();
  machine.emit({ event: 'keyring-accepted', level: 'warn', version: keyring.version });
  return keyring.version;
}

/** By hand, at the machine. @throws NixmakerError as `verifyKeyring` */
export function acceptByHand(machine: RootMachine, envelope: string): Promise<number> {
  return withLock(machine, () => acceptKeyring(machine, envelope));
}
