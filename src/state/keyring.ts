/** The newest keyring that this machine has accepted: root’s own word from then on. Two checksummed copies, as of the floor. */
import { join } from 'node:path';
import * as z from 'zod';
import { NixmakerError } from '../core/errors.ts';
import { type Keyring, parseKeyring } from '../core/policy/keyring.ts';
import { readChecksummed, withChecksum } from './checksummed.ts';
import { readIfThere, writeDurably } from './durable.ts';

const stored = z.strictObject({ schema: z.literal(1), keyring: z.string() });

const copies = ['keyring.a', 'keyring.b'];

/**
 * Undefined where none has ever come.
 * @throws NixmakerError `state-corrupt` where copies are there and none can be read: older keys may have been revoked
 */
export async function readKeyring(stateDirectory: string): Promise<Keyring | undefined> {
  const texts = await Promise.all(copies.map((name) => readIfThere(join(stateDirectory, name))));
  const there = texts.filter((text) => text !== undefined);
  const readable = there.flatMap((text) => {
    const parsed = stored.safeParse(readChecksummed(text.trimEnd()));
    return parsed.success ? [parseKeyring(parsed.data.keyring)] : [];
  });
  if (there.length > 0 && readable.length === 0)
    throw new NixmakerError('state-corrupt', `both copies of the keyring in ${stateDirectory} are damaged`);
  return readable.toSorted((a, b) => b.version - a.version)[0];
}

/** @param text of a keyring that was verified */
export async function storeKeyring(stateDirectory: string, text: string): Promise<void> {
  for (const name of copies)
    await writeDurably(join(stateDirectory, name), withChecksum({ schema: 1, keyring: text }));
}
