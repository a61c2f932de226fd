/**
 * The key by which root vouches for store paths to this machine’s own Nix, where Nix trusts none of the keys that signed
 * a bundle. Its secret half is root’s, whom Nix believes anyhow; its public half lies in a file that nix.conf includes.
 */
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { NixmakerError } from '../../core/errors.ts';
import { readIfThere } from '../../files/read.ts';
import { trustedKeysOf } from '../../nix/settings.ts';
import { addSignatures } from '../../nix/valid-info.ts';
import { generateKeyPair, parseSecretKey, type SecretKey } from '../../signing/nix-key.ts';
import { signPath } from '../../signing/path-signature.ts';
import { writeDurably } from '../../state/durable.ts';
import type { Machine } from '../machine/machine.ts';
import { storeKeyConf, storeKeyLine } from '../machine/store-public-key.ts';
import type { Comparison } from '../machine/valid-paths.ts';
import { publicText } from './host-key.ts';

type Keeper = Pick<Machine, 'floorDirectory'>;

const secretFile = ({ floorDirectory }: Keeper) => join(floorDirectory, 'store.secret');

/** @throws NixmakerError `nix-key-untrusted` where it has not been made */
export async function readStoreKey(machine: Keeper): Promise<SecretKey> {
  const there = await readIfThere(secretFile(machine));
  if (there === undefined)
    throw new NixmakerError('nix-key-untrusted', 'this machine has no store key that could stand in for one');
  return parseSecretKey(there.trimEnd());
}

/** Makes it where there is none. @returns the public half, in Nix’s text form */
export async function makeStoreKey(machine: Keeper & Pick<Machine, 'policy' | 'randomHex'>): Promise<string> {
  const there = await readIfThere(secretFile(machine));
  // A number besides the host’s name: paths travel on to other machines with the name of who signed them.
  const name = `nixmaker-store-${machine.policy.host}-${machine.randomHex(4)}`;
  const secret = there?.trimEnd() ?? generateKeyPair(name).secret;
  const text = publicText(parseSecretKey(secret));
  if (there === undefined) {
    await writeDurably(secretFile(machine), `${secret}\n`, 0o600);
    await chmod(secretFile(machine), 0o600);
  }
  await writeDurably(storeKeyConf(machine), storeKeyLine(text));
  return text;
}

/** Whether nix.conf names the key, as programs started now read it. */
export const nixTrusts = async ({ nix }: Pick<Machine, 'nix'>, key: string): Promise<boolean> =>
  (await trustedKeysOf(nix)).includes(key);

/**
 * Signs what was compared and is as it should be. The key is made where there is none: Nix need not know it for this, and without it
 * a path that cannot be built bit for bit would be refused when the next release brings it otherwise.
 */
export async function signCompared(
  machine: Keeper & Pick<Machine, 'nix' | 'policy' | 'randomHex'>,
  { unsigned }: Pick<Comparison, 'unsigned'>,
): Promise<void> {
  if (unsigned.length === 0) return;
  await makeStoreKey(machine);
  const key = await readStoreKey(machine);
  await addSignatures(machine.nix, new Map(unsigned.map((info) => [info.path, signPath(info, key)])));
}
