/**
 * Names of files that may be bundles although such names are not taken: what browsers, mail programs and archivers turn them into, and
 * files that lost theirs. Pure.
 */
import { poolFolder } from './pool-folder.ts';

/** How carriers name an unfinished copy; the actual ending comes before this. */
const unfinished = /\.(?:part|partial|filepart|tmp|crdownload|opdownload|download|aria2|!ut|swp)$/i;
/** What is found beside bundles, or in a pool. */
const beside = /\.(?:txt|json|sig|asc|md5|sha\d*|sha\d*sums?|md5sums?|torrent|log|html?|keyring)$/i;
const companions = /^(?:manifest\.(?:json|sig)|index|meta|contents|nix\.sig)$/;
/** `.tar` or the like, followed by something: `web.tar.zip`, `web.tar (1)`, `web.tar.gz.1`, `3.keyring.zip`; and `web.tgz`. */
const named = /\.(?:tar|keyring)(?![a-z0-9])|\.(?:tgz|txz|tbz2?|tzst)$/i;

/** `Nixmaker`, `nixmaker (1)`, `nixmaker-2`, `nixmaker_copy`: what people and copying programs turn a pool’s name into. */
const poolLike = new RegExp(`^${poolFolder}(?![a-z0-9])`, 'i');

export const isLikePool = (name: string): boolean => name !== poolFolder && poolLike.test(name);

/** `named`: it looks like a bundle’s or a keyring’s. `unknown`: it says nothing. `none`: something else’s. */
export function nameOf(name: string): 'named' | 'unknown' | 'unfinished' | 'none' {
  if (unfinished.test(name)) return 'unfinished';
  if (beside.test(name) || companions.test(name)) return 'none';
  return named.test(name) ? 'named' : 'unknown';
}
