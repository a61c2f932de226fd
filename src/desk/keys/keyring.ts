/** Keyrings at the desk: made from what a person wrote, signed by several, copied to media. */
import { join } from 'node:path';
import { keyringsOf, lockOf } from '../../bundle/pool.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import {
  encodeKeyring,
  type Keyring,
  type KeyringInput,
  keyringExtension,
  parseKeyring,
} from '../../core/policy/keyring.ts';
import { makeFolders } from '../../files/folder.ts';
import { isFolder, readText } from '../../files/read.ts';
import { inTurn } from '../../files/turn.ts';
import { writeWhole } from '../../files/write.ts';
import { holdProgram } from '../../process/run.ts';
import { addKeyringSignature, keyringMessage, peekKeyring, unsignedKeyring } from '../../signing/keyring.ts';
import type { Signer } from '../../signing/signer.ts';
import { trustSetOf } from '../../signing/verify.ts';
import { alone } from './alone.ts';

const readKeyringText = (path: string) => readText(path, 'keyring-malformed');

/** @param from handwritten JSON: `schema`, `version`, `hosts`, and `trustedKeys`, `threshold`, `roles`, `minimumSequence` as in a policy */
export async function makeKeyringFile(from: string, to: string): Promise<Keyring> {
  if (!to.endsWith(keyringExtension))
    throw new NixmakerError(
      'usage',
      `a keyring’s file name must end with ${keyringExtension}; machines ignore it otherwise`,
    );
  let input: KeyringInput;
  try {
    input = JSON.parse(await readKeyringText(from)) as KeyringInput;
  } catch (cause) {
    if (cause instanceof NixmakerError) throw cause;
    throw new NixmakerError('keyring-malformed', `${from}: ${messageOf(cause)}`, { cause });
  }
  const text = encodeKeyring(input);
  const keyring = parseKeyring(text);
  // Keys that no target could read are noticed here, not there.
  trustSetOf(keyring);
  await writeWhole(to, unsignedKeyring(text));
  return keyring;
}

export const signKeyringFile = (path: string, signer: Signer): Promise<void> =>
  alone(path, () => addSignature(path, signer));

async function addSignature(path: string, signer: Signer): Promise<void> {
  const envelope = await readKeyringText(path);
  const { text } = peekKeyring(envelope);
  await writeWhole(path, addKeyringSignature(envelope, signer.name, await signer.sign(keyringMessage(text))));
}

export async function inspectKeyringFile(path: string): Promise<ReturnType<typeof peekKeyring>> {
  return peekKeyring(await readKeyringText(path));
}

/** Puts keyrings where agents look for them. @returns their versions */
export async function putKeyrings(medium: string, files: readonly string[]): Promise<number[]> {
  if (!(await isFolder(medium)))
    throw new NixmakerError('no-medium', `${medium} is not a folder; is the medium mounted?`);
  await makeFolders(keyringsOf(medium));
  return inTurn({ hold: holdProgram, file: lockOf(medium), verb: 'put' }, () => layKeyrings(medium, files));
}

async function layKeyrings(medium: string, files: readonly string[]): Promise<number[]> {
  const versions: number[] = [];
  for (const file of files) {
    const envelope = await readKeyringText(file);
    const { keyring, claimedSigners } = peekKeyring(envelope);
    if (claimedSigners.length === 0) throw new NixmakerError('keyring-untrusted', `${file} is not signed`);
    await writeWhole(join(keyringsOf(medium), `${keyring.version}${keyringExtension}`), envelope);
    versions.push(keyring.version);
  }
  return versions;
}
