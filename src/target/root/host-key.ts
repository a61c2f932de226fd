/** The key by which the desk knows that a receipt is this host’s. Created on first use, kept by root, never on a medium. */
import { join } from 'node:path';
import { insteadOf } from '../../core/errno.ts';
import { NixmakerError } from '../../core/errors.ts';
import { readIfThere, readText } from '../../files/read.ts';
import { generateKeyPair, parseSecretKey, type SecretKey } from '../../signing/nix-key.ts';
import { writeDurably } from '../../state/durable.ts';
import type { Machine } from '../machine/machine.ts';

type Keeper = Pick<Machine, 'floorDirectory' | 'policy'>;

const secretFile = ({ floorDirectory }: Keeper) => join(floorDirectory, 'host.secret');
const publicFile = ({ floorDirectory }: Keeper) => join(floorDirectory, 'host.public');

/** @throws NixmakerError `key-malformed` if the file is damaged: with another key the desk would not recognise this host */
export async function ensureHostKey(machine: Keeper): Promise<SecretKey> {
  const there = await readIfThere(secretFile(machine));
  if (there === undefined) {
    const pair = generateKeyPair(`host-${machine.policy.host}`);
    await writeDurably(secretFile(machine), `${pair.secret}\n`, 0o600);
  }
  // Read back: if the public half was never written (a kill) or was damaged, it is repaired on the next use.
  const key = parseSecretKey(there?.trimEnd() ?? (await readText(secretFile(machine), 'io-error')).trimEnd());
  const line = `${publicText(key)}\n`;
  if ((await readIfThere(publicFile(machine))) !== line) await writeDurably(publicFile(machine), line);
  return key;
}

export function publicText({ publicKey: { name, material } }: SecretKey): string {
  return `${name}:${material}`;
}

/** The public half, for users who may not read the secret one. @throws NixmakerError `usage` */
export async function readHostKey(machine: Keeper): Promise<string> {
  const text = (await readIfThere(publicFile(machine))) ?? (await mendedByRoot(machine));
  if (text === undefined)
    throw new NixmakerError('usage', 'this machine has no key yet; it creates one for its first receipt');
  return text.trimEnd();
}

/** The public half is derived from the secret one, if there is one that may be read. */
async function mendedByRoot(machine: Keeper): Promise<string | undefined> {
  const there = await readIfThere(secretFile(machine)).catch(insteadOf(['EACCES'], undefined));
  return there === undefined ? undefined : publicText(await ensureHostKey(machine));
}
