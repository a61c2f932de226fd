/** The public half of the machine’s store key, as root wrote it for nix.conf to include. */
import { join } from 'node:path';
import { readIfThere } from '../../files/read.ts';
import { type PublicKey, parsePublicKey } from '../../signing/nix-key.ts';
import type { Machine } from './machine.ts';

/** For `!include` in nix.conf. */
export const storeKeyConf = ({ floorDirectory }: Pick<Machine, 'floorDirectory'>): string =>
  join(floorDirectory, 'store-key.conf');

export const storeKeyLine = (publicText: string): string => `extra-trusted-public-keys = ${publicText}\n`;

/** Undefined if the machine has none. @throws NixmakerError `key-malformed` */
export async function readStorePublicKey(
  machine: Pick<Machine, 'floorDirectory'>,
): Promise<PublicKey | undefined> {
  const text = await readIfThere(storeKeyConf(machine));
  const key = /^extra-trusted-public-keys = (\S+)$/m.exec(text ?? '')?.[1];
  return key === undefined ? undefined : parsePublicKey(key);
}
