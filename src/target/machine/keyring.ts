/** The keyring that counts on this machine, and what the next has to be. */
import { type VerifiedKeyring, verifyKeyring } from '../../signing/keyring.ts';
import { readFloor } from '../../state/floor.ts';
import { timeFloor } from './floor.ts';
import type { Machine } from './machine.ts';

/** The version that counts now: of the keyring that has come, or of the policy. */
export const keyringVersion = ({ keyring, policy }: Pick<Machine, 'keyring' | 'policy'>): number =>
  Math.max(keyring?.version ?? 0, policy.keyringVersion);

/** With what is trusted now. @throws NixmakerError as `verifyKeyring` */
export async function verifyKeyringHere(
  machine: Pick<Machine, 'keyring' | 'policy' | 'floorDirectory' | 'clock'>,
  envelope: string,
): Promise<VerifiedKeyring> {
  const { policy, floorDirectory } = machine;
  const { floor } = await readFloor(floorDirectory);
  const { now } = timeFloor(machine, floor);
  return verifyKeyring(envelope, { host: policy.host, version: keyringVersion(machine), trust: policy, now });
}
