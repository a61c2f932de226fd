/** The newest keyring that this machine has accepted: root’s own word from then on. In two copies, like the floor. */
import { NixmakerError } from '../core/errors.ts';
import { type Keyring, parseKeyring } from '../core/policy/keyring.ts';
import * as z from '../core/zod.ts';
import { readCopies, writeCopies } from './two-copies.ts';

const stored = z.looseObject({ schema: z.literal(1), keyring: z.string() });

/**
 * Undefined if none was ever accepted.
 * @throws NixmakerError `state-corrupt` if copies exist but none can be read: older keys may have been revoked
 */
export async function readKeyring(stateDirectory: string): Promise<Keyring | undefined> {
  const { readable, damaged } = await readCopies(stateDirectory, 'keyring', stored);
  if (damaged > 0 && readable.length === 0)
    throw new NixmakerError('state-corrupt', `both copies of the keyring in ${stateDirectory} are damaged`);
  return readable.map(({ keyring }) => parseKeyring(keyring)).toSorted((a, b) => b.version - a.version)[0];
}

/** @param text of a verified keyring */
export async function storeKeyring(stateDirectory: string, text: string): Promise<void> {
  await writeCopies(stateDirectory, 'keyring', { schema: 1, keyring: text });
}
