/**
 * The key with which root vouches for store paths to this machine’s own Nix, if Nix trusts none of the keys that signed a bundle. Its
 * secret half belongs to root, whom Nix trusts anyway; its public half is in a file that nix.conf includes.
 */
import { join } from 'node:path';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import type { StorePath } from '../../core/store-path.ts';
import { readIfThere } from '../../files/read.ts';
import { withOpenDaemon } from '../../nix/open-daemon.ts';
import { readSystemLink } from '../../nix/profile.ts';
import { trustedKeysOf } from '../../nix/settings.ts';
import { addSignatures, queryClosureInfos } from '../../nix/valid-info.ts';
import { generateKeyPair, parseSecretKey, type SecretKey } from '../../signing/nix-key.ts';
import { signPath } from '../../signing/path-signature.ts';
import { writeDurably } from '../../state/durable.ts';
import type { Machine } from '../machine/machine.ts';
import { storeKeyConf, storeKeyLine } from '../machine/store-public-key.ts';
import type { OnSame, Recognition } from '../machine/valid-paths.ts';
import { withNix } from '../machine/with-nix.ts';
import { publicText } from './host-key.ts';

type Keeper = Pick<Machine, 'floorDirectory'>;
type KeyMaker = Keeper & Pick<Machine, 'policy' | 'randomHex'>;

const secretFile = ({ floorDirectory }: Keeper) => join(floorDirectory, 'store.secret');

/** @throws NixmakerError `nix-key-untrusted` if it has not been created */
export async function readStoreKey(machine: Keeper): Promise<SecretKey> {
  const there = await readIfThere(secretFile(machine));
  if (there === undefined)
    throw new NixmakerError('nix-key-untrusted', 'this machine has no store key to use instead');
  return parseSecretKey(there.trimEnd());
}

/** Creates the key if there is none. @returns the public half, in Nix’s text form */
export const makeStoreKey = async (machine: KeyMaker): Promise<string> =>
  publicText(await ensureStoreKey(machine));

/** The key, created if there is none, and its public half where nix.conf includes it. */
async function ensureStoreKey(machine: KeyMaker): Promise<SecretKey> {
  const there = await readIfThere(secretFile(machine));
  // A number as well as the host’s name: paths travel to other machines together with the name of their signer.
  const name = `nixmaker-store-${machine.policy.host}-${machine.randomHex(4)}`;
  if (there === undefined) {
    await writeDurably(secretFile(machine), `${generateKeyPair(name).secret}\n`, 0o600);
  }
  // Read back: if two processes created it at once, only one key remains.
  const key = await readStoreKey(machine);
  const line = storeKeyLine(publicText(key));
  if ((await readIfThere(storeKeyConf(machine))) !== line) await writeDurably(storeKeyConf(machine), line);
  return key;
}

/** Whether nix.conf names the key, as seen by a program started now. */
export const nixTrusts = async ({ nix }: Pick<Machine, 'nix'>, key: string): Promise<boolean> =>
  (await trustedKeysOf(nix)).includes(key);

/** Root knows the one signature that counts: Ed25519 allows no other. */
export interface StoreSigner extends Recognition {
  readonly onSame: OnSame;
  /** Adds the signatures of everything noted. */
  readonly sign: () => Promise<void>;
}

/**
 * Signs what was compared and found to be as it should be. The key is created if there is none: Nix need not know it for this, and without
 * it a path that does not build bit for bit would be refused when the next release brings it in another form.
 */
export async function makeStoreSigner(machine: KeyMaker & Pick<Machine, 'nix'>): Promise<StoreSigner> {
  const key = await ensureStoreKey(machine);
  const missing = new Map<StorePath, string>();
  return {
    wanted: (path, stored) => {
      let own: string | undefined;
      return (signature) => {
        if (!signature.startsWith(`${key.name}:`)) return false;
        own ??= signPath({ ...stored, path, references: stored.references as StorePath[] }, key);
        return signature === own;
      };
    },
    counts: (_path, { signatures }) => signatures.length > 0,
    onSame: (info, signatures) => {
      // A content-addressed path needs nobody’s signature.
      if (info.ca === undefined && signatures.length === 0) missing.set(info.path, signPath(info, key));
    },
    sign: () => addSignatures(machine.nix, missing),
  };
}

const adoptedFile = ({ floorDirectory }: Keeper) => join(floorDirectory, 'store-adopted');

/**
 * Once in a machine’s life, signs what is running now as it is. It already runs as root, so whoever put it there gains nothing; and a
 * machine that was installed by other means, or before paths were compared, does not refuse its next release over a path that came out
 * differently here.
 */
export async function adoptRunningSystem(
  machine: KeyMaker & Pick<Machine, 'nix' | 'settings' | 'emit'>,
): Promise<void> {
  if ((await readIfThere(adoptedFile(machine))) !== undefined) return;
  const running = await readSystemLink(machine.settings.currentSystem);
  if (running === undefined) return;
  try {
    const paths = await withOpenDaemon(machine.nix, (nix) => signSystem(withNix(machine, nix), running));
    await writeDurably(adoptedFile(machine), `${running}\n`);
    machine.emit({ event: 'system-adopted', system: running, paths });
  } catch (error) {
    // Retried at the next start.
    machine.emit({ event: 'system-not-adopted', level: 'warn', detail: messageOf(error) });
  }
}

/** @returns how many paths it has */
async function signSystem(machine: KeyMaker & Pick<Machine, 'nix'>, system: StorePath): Promise<number> {
  const signer = await makeStoreSigner(machine);
  const infos = await queryClosureInfos(machine.nix, system, signer.wanted);
  for (const [path, info] of infos)
    signer.onSame({ ...info, path, references: info.references as StorePath[] }, info.signatures);
  await signer.sign();
  return infos.size;
}
