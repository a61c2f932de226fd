/** Anything that can’t become a bundle is reported before compression starts. */
import { readFile } from 'node:fs/promises';
import { ifMissing } from '../../core/errno.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { narDigest, type PathInfo } from '../../core/release/path-info.ts';
import { encodeIndex } from '../../core/release/write-index.ts';
import type { StorePath } from '../../core/store-path.ts';

/**
 * Uses an index in which every NAR is as small as possible: the real one is never shorter.
 * @throws NixmakerError `bundle-too-large`
 */
export function refuseTooLarge(closure: readonly PathInfo[], root: StorePath): void {
  if (isSurelySmall(closure)) return;
  const paths = closure.map((info) => ({
    ...info,
    narHash: narDigest(info),
    ca: info.ca ?? '',
    files: 1,
    blocks: 0,
  }));
  const { totals } = encodeIndex(paths, root);
  if (!Number.isSafeInteger(totals.narBytes))
    throw new NixmakerError(
      'bundle-too-large',
      `its paths total ${totals.narBytes} bytes; the limit is 2^53`,
    );
}

/** Bytes of a line for what is the same for all, or is a number of at most 16 digits; and of a reference. */
const [lineFrame, referenceFrame] = [52 + 3 * 16 + 20, 8];

/** Most are far from any limit, by the longest index they could have. */
function isSurelySmall(closure: readonly PathInfo[]): boolean {
  let [bytes, references, narBytes] = [0, 0, 0];
  for (const info of closure) {
    bytes += lineFrame + info.path.length + (info.ca?.length ?? 0) + info.references.length * referenceFrame;
    references += info.references.length;
    narBytes += info.narSize;
  }
  const isShort = closure.length <= limits.lines && bytes <= limits.indexBytes;
  return isShort && references <= limits.references && Number.isSafeInteger(narBytes);
}

/** Each output with a path, as in `Derive([("out","/nix/store/…","","")],…`. */
const withPaths = /^Derive\(\[(?:,?\("[^"\\]*","\/[^"\\]*","[^"\\]*","[^"\\]*"\))+\],/;

/**
 * Recipes whose outputs have no path before they are built (floating content-addressed, impure and dynamic derivations): their
 * results could not be signed, and most targets’ Nix can’t read them.
 * @throws NixmakerError `evaluation-failed`
 */
export async function refuseFloating(closure: readonly PathInfo[]): Promise<void> {
  for (const { path } of closure) {
    if (!path.endsWith('.drv')) continue;
    // If Nix has its store elsewhere, the target finds out.
    const text = await readFile(path, 'latin1').catch(ifMissing(undefined));
    if (text === undefined || withPaths.test(text)) continue;
    throw new NixmakerError(
      'evaluation-failed',
      `${path} does not say which paths it produces (a floating content-addressed derivation), so it cannot go into a bundle of recipes`,
    );
  }
}
