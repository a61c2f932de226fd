/**
 * The folder in which a desk knows its fleet. Every file is of one host, so that the folders of two desks can be laid into one.
 * What then is not as it was is told (heard.ts, former.ts).
 *
 *     keys/<host>.public               the key that is believed
 *     receipts/<host>/<name>.json      receipts signed by it; <name>.collected has when they came, by this desk’s clock
 *     heard/<host>/<number>-<key>      that a receipt of that number was here; empty
 *     hosts/<host>.json                that it is expected, or retired
 *     .nixmaker.lock                   held by whoever collects
 *     former/<host>/<time>/            the key and the receipts of an installation that was replaced
 */
import { join } from 'node:path';
import { readSmall } from '../../bundle/file.ts';
import { isHostName } from '../../core/schema.ts';
import { handBack } from '../../files/caller.ts';
import { makeFolders } from '../../files/folder.ts';
import { namesIn } from '../../files/read.ts';
import { inTurn, turnIn } from '../../files/turn.ts';
import { holdProgram } from '../../process/run.ts';
import { type PublicKey, parsePublicKey } from '../../signing/nix-key.ts';

export const keyFileOf = (directory: string, host: string) => join(directory, 'keys', `${host}.public`);
export const receiptsOf = (directory: string, host: string) => join(directory, 'receipts', host);
export const heardOf = (directory: string, host: string) => join(directory, 'heard', host);
export const formerOf = (directory: string, host: string) => join(directory, 'former', host);
export const wordFileOf = (directory: string, host: string) => join(directory, 'hosts', `${host}.json`);

/**
 * One at a time: of two who collect at once each would prune by what it knew, lay aside what the other brought, or enrol another key.
 * The folder is made where it is missing. @param onWait hears who has it @throws NixmakerError `busy`
 */
export async function inFleetTurn<T>(
  directory: string,
  { work, onWait }: { readonly work: () => Promise<T>; readonly onWait?: (who: string) => void },
): Promise<T> {
  await makeFolders(directory);
  const done = await inTurn({ hold: holdProgram, file: turnIn(directory), verb: 'collect', onWait }, work);
  await giveBack(directory);
  return done;
}

/** By sudo, what is in it stays the caller’s. */
export const giveBack = (directory: string): Promise<void> =>
  handBack(directory, ['keys', 'receipts', 'heard', 'hosts', 'former', '.nixmaker.lock']);

/** The key that is kept for it, if there is one. @throws NixmakerError `key-malformed` */
export async function readHostKey(directory: string, host: string): Promise<PublicKey | undefined> {
  const text = (await readSmall(keyFileOf(directory, host), 4096))?.toString('utf8').trim();
  return text === undefined ? undefined : parsePublicKey(text);
}

/** Hosts of which one of the folders has something. @param ending of their files’ names; none for folders */
export async function hostsIn(folder: string, ending = ''): Promise<string[]> {
  const names = (await namesIn(folder)).filter((name) => name.endsWith(ending));
  return names.map((name) => name.slice(0, name.length - ending.length)).filter(isHostName);
}
