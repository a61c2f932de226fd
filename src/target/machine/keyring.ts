/** The keyring in effect on this machine, and what the next one must be. */
import { inForce } from '../../core/policy/keyring.ts';
import { type VerifiedKeyring, verifyKeyring } from '../../signing/keyring.ts';
import { readFloor } from '../../state/floor.ts';
import { timeFloor } from './floor.ts';
import type { Machine } from './machine.ts';

/** The version in effect: from the newest accepted keyring, or from the policy. */
export const keyringVersion = ({ keyring, policy }: Pick<Machine, 'keyring' | 'policy'>): number =>
  Math.max(keyring?.version ?? 0, policy.keyringVersion);

/** Verified with the keys trusted now. @throws NixmakerError as `verifyKeyring` */
export async function verifyKeyringHere(
  machine: Pick<Machine, 'keyring' | 'policy' | 'floorDirectory' | 'clock'>,
  envelope: string,
): Promise<VerifiedKeyring> {
  const { policy, floorDirectory } = machine;
  const { floor } = await readFloor(floorDirectory);
  const { now } = timeFloor(machine, floor);
  const leastSequence = inForce(policy, machine.keyring)?.minimumSequence ?? 0;
  const version = keyringVersion(machine);
  return verifyKeyring(envelope, { host: policy.host, version, trust: policy, leastSequence, now });
}
