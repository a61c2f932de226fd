/**
 * The folder that holds what a desk knows of its fleet. Every file belongs to one host, so two desks’ folders can be merged by copying.
 * Anything lost by that is reported (heard.ts, former.ts).
 *
 *     keys/<host>.public               the key that is trusted
 *     receipts/<host>/<name>.json      receipts signed by it; <name>.collected has when they came, by this desk’s clock
 *     heard/<host>/<number>-<key>      a receipt with that number was here; empty
 *     hosts/<host>.json                it is expected, or retired
 *     .nixmaker.lock                   held by whoever is collecting
 *     former/<host>/<time>/            key and receipts of an installation that was replaced
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
 * One at a time: two collecting at once would each prune by what it knew, discard what the other brought, or enrol another key.
 * The folder is created if missing. @param onWait is told who holds it @throws NixmakerError `busy`
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

/** Under sudo, the files still belong to the caller. */
export const giveBack = (directory: string): Promise<void> =>
  handBack(directory, ['keys', 'receipts', 'heard', 'hosts', 'former', '.nixmaker.lock']);

/** The key kept for it, if any. @throws NixmakerError `key-malformed` */
export async function readHostKey(directory: string, host: string): Promise<PublicKey | undefined> {
  const text = (await readSmall(keyFileOf(directory, host), 4096))?.toString('utf8').trim();
  return text === undefined ? undefined : parsePublicKey(text);
}

/** Hosts that have something in one of the folders. @param ending of their files’ names; none for folders */
export async function hostsIn(folder: string, ending = ''): Promise<string[]> {
  const names = (await namesIn(folder)).filter((name) => name.endsWith(ending));
  return names.map((name) => name.slice(0, name.length - ending.length)).filter(isHostName);
}
