/**
 * The signed parts of the newest releases that this machine has taken: manifest, signatures and index, as they came. They are worth
 * what their signatures are worth, so it does not matter who could have written them; whoever reads them verifies them again.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ifMissing } from '../core/errno.ts';
import { limits } from '../core/limits.ts';
import { readForeign } from '../files/foreign.ts';
import { writeDurably } from './durable.ts';

export interface KeptRelease {
  readonly manifestBytes: Buffer;
  readonly signatureBytes: Buffer;
  readonly indexBytes: Buffer;
  /** It came encrypted for its hosts. */
  readonly isSecret: boolean;
}

/** The one that runs, the one that waits for a restart, the one that is staged, and the one that has just come. */
const mostReleases = 4;
/** Mark of a release that came encrypted. */
const secretName = 'encrypted';

const folderOf = (stateDirectory: string) => join(stateDirectory, 'releases');
const digestForm = /^[0-9a-f]{64}$/;

/** @param digest the manifest’s: sha256 in hexadecimal @param keep digests of others that stay */
export async function keepRelease(
  stateDirectory: string,
  {
    digest,
    keep,
    release,
  }: { readonly digest: string; readonly keep: readonly string[]; readonly release: KeptRelease },
): Promise<void> {
  const folder = folderOf(stateDirectory);
  const stay = [...new Set([digest, ...keep])].slice(0, mostReleases);
  const names = (await readdir(folder).catch(ifMissing([]))) as string[];
  for (const name of names)
    if (digestForm.test(name) && !stay.includes(name)) await rm(join(folder, name), { recursive: true });
  const place = join(folder, digest);
  // Once encrypted, always: the same release may come again in the clear, by mistake.
  if (release.isSecret) await writeDurably(join(place, secretName), '');
  await writeDurably(join(place, 'manifest.sig'), release.signatureBytes);
  await writeDurably(join(place, 'index'), release.indexBytes);
  await writeDurably(join(place, 'manifest.json'), release.manifestBytes);
}

/** Undefined if it was not kept. @throws Error with `ELOOP`, `EFTYPE` or `EFBIG` if something else is there */
export async function readKeptRelease(
  stateDirectory: string,
  digest: string,
): Promise<KeptRelease | undefined> {
  const place = join(folderOf(stateDirectory), digest);
  const read = (name: string, most: number) => readForeign(place, name, most);
  const manifestBytes = await read('manifest.json', limits.manifestBytes);
  const signatureBytes = await read('manifest.sig', limits.signatureFileBytes);
  const indexBytes = await read('index', limits.indexBytes);
  if (manifestBytes === undefined || signatureBytes === undefined || indexBytes === undefined)
    return undefined;
  const isSecret = (await read(secretName, 0)) !== undefined;
  return { manifestBytes, signatureBytes, indexBytes, isSecret };
}
