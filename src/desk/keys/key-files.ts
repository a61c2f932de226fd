/** Keys in files: making a pair, reading one. */
import { open, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasErrno, ifMissing } from '../../core/errno.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { callerOfFile, handBackFolders } from '../../files/caller.ts';
import { makeFolder, syncFolder } from '../../files/folder.ts';
import { readIfThere, readText } from '../../files/read.ts';
import { generateKeyPair, parseSecretKey, publicTextOf, type SecretKey } from '../../signing/nix-key.ts';
import { type Signer, signerWith } from '../../signing/signer.ts';
import { parseTrustedKey } from '../../signing/trusted-key.ts';

export interface KeyFiles {
  readonly secretFile: string;
  readonly publicFile: string;
  readonly publicKey: string;
  /** Users other than the owner can read the secret: the file system keeps no modes (FAT, exFAT, NTFS, CIFS). */
  readonly isExposed: boolean;
}

/**
 * Writes NAME.secret (0600) and NAME.public; never over an existing file. If interrupted between the two, the second
 * is derived from the first.
 */
export async function makeKeyFiles(name: string, folder: string): Promise<KeyFiles> {
  await makeOwnFolder(folder);
  const secretFile = join(folder, `${name}.secret`);
  const publicFile = join(folder, `${name}.public`);
  const files = { secretFile, publicFile };
  const known = await publicHalfOf(files);
  if (known !== undefined) {
    await writeNew(publicFile, `${known}\n`, 0o644);
    return { ...files, publicKey: known, isExposed: await isExposed(secretFile) };
  }
  const pair = generateKeyPair(name);
  // Created but not filled by an interrupted run.
  if (await isEmpty(secretFile)) await rm(secretFile);
  await writeNew(secretFile, pair.secret, 0o600);
  try {
    await writeNew(publicFile, `${pair.public}\n`, 0o644);
  } catch (error) {
    // Both or none: nobody has the public half, so deleting this one loses nothing.
    await rm(secretFile, { force: true });
    throw error;
  }
  return { ...files, publicKey: pair.public, isExposed: await isExposed(secretFile) };
}

/**
 * Writes NAME.public for a key whose secret half is elsewhere; never over an existing file.
 * @param from the public key as SubjectPublicKeyInfo (RFC 8410), in PEM or DER
 * @throws NixmakerError `key-malformed`, `key-exists`
 */
export async function makePublicFile({
  name,
  folder,
  from,
}: {
  readonly name: string;
  readonly folder: string;
  readonly from: string;
}): Promise<Pick<KeyFiles, 'publicFile' | 'publicKey'>> {
  const bytes = await readFile(from).catch((cause: unknown) => {
    throw new NixmakerError('key-malformed', `cannot read ${from}: ${messageOf(cause)}`, { cause });
  });
  const publicKey = publicTextOf(name, bytes);
  await makeOwnFolder(folder);
  const publicFile = join(folder, `${name}.public`);
  await writeNew(publicFile, `${publicKey}\n`, 0o644);
  return { publicFile, publicKey };
}

const isExposed = async (path: string): Promise<boolean> => ((await stat(path)).mode & 0o077) !== 0;

/** For a key of that name whose public half is missing; undefined if there is no such key. */
async function publicHalfOf({
  secretFile,
  publicFile,
}: Pick<KeyFiles, 'secretFile' | 'publicFile'>): Promise<string | undefined> {
  if ((await readIfThere(publicFile)) !== undefined) return undefined;
  const text = await readIfThere(secretFile);
  // What isn’t a key is not overwritten either.
  const secret = text === undefined ? undefined : parsedOrNothing(text.trimEnd());
  return secret && `${secret.publicKey.name}:${secret.publicKey.material}`;
}

const isEmpty = async (path: string): Promise<boolean> =>
  (await stat(path).catch(ifMissing(undefined)))?.size === 0;

function parsedOrNothing(text: string): SecretKey | undefined {
  try {
    return parseSecretKey(text);
  } catch (error) {
    if (error instanceof NixmakerError) return undefined;
    throw error;
  }
}

async function makeOwnFolder(folder: string): Promise<void> {
  const first = await makeFolder(folder);
  if (first !== undefined) await handBackFolders(first, folder);
}

async function writeNew(path: string, text: string, mode: number): Promise<void> {
  try {
    const file = await open(path, 'wx', mode);
    try {
      await file.writeFile(text);
      const caller = await callerOfFile(file);
      if (caller !== undefined) await file.chown(caller.uid, caller.gid);
      await file.sync();
    } catch (error) {
      // Half a key would prevent the next one from being created.
      await rm(path, { force: true });
      throw error;
    } finally {
      await file.close();
    }
    await syncFolder(dirname(path));
  } catch (cause) {
    if (hasErrno(cause, 'EEXIST')) throw new NixmakerError('key-exists', path, { cause });
    throw new NixmakerError('io-error', `cannot write ${path}: ${messageOf(cause)}`, { cause });
  }
}

export type { Signer };

/** A secret key in a file. @throws NixmakerError `key-malformed` */
export async function readSigner(path: string): Promise<Signer> {
  const text = await readText(path, 'key-malformed', `cannot read the key file ${path}`);
  return signerWith(parseSecretKey(asWritten(text)));
}

/** A public key as text, or the file that holds one. */
export async function readPublicKeyArgument(argument: string): Promise<string> {
  if (looksLikeKey(argument)) return argument;
  const text = await readFile(argument, 'utf8').catch(() => {
    // Nobody knows which was meant, so no missing file is reported.
    throw new NixmakerError('key-malformed', `“${argument}” is neither a key nor a readable file`);
  });
  return checkedKeyText(asWritten(text));
}

/** Editors add a byte-order mark, and people a newline. */
const asWritten = (text: string): string => text.replace(/^\uFEFF/, '').trim();

function looksLikeKey(text: string): boolean {
  try {
    return parseTrustedKey(text) !== undefined;
  } catch {
    return false;
  }
}

function checkedKeyText(text: string): string {
  parseTrustedKey(text);
  return text;
}
