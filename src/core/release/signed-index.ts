/** A release’s index: the manifest’s signature covers it through size and digest, and nothing in it is parsed before that is checked. */
import { NixmakerError } from '../errors.ts';
import { ReleaseIndex } from './index-file.ts';
import { type Manifest, rootOf } from './manifest.ts';

/**
 * @param bytes from any source
 * @param digest their sha256 in hexadecimal, as just computed by the caller
 * @throws NixmakerError `bundle-altered` if they are not what the manifest announces, `manifest-malformed`
 */
export function readIndexOf(manifest: Manifest, bytes: Uint8Array, digest: string): ReleaseIndex {
  const { size, sha256 } = manifest.index;
  if (bytes.length !== size || digest !== sha256)
    throw new NixmakerError('bundle-altered', 'the index does not match what was signed');
  const index = ReleaseIndex.parse(bytes, rootOf(manifest));
  const { totals } = index;
  for (const key of Object.keys(totals) as (keyof typeof totals)[])
    if (totals[key] !== manifest.totals[key])
      throw new NixmakerError('manifest-malformed', `its total of ${key} does not match its index`);
  return index;
}
