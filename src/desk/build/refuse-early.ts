/** Anything that can’t become a bundle is reported before compression starts. */
import { readFile } from 'node:fs/promises';
import { ifMissing } from '../../core/errno.ts';
import { NixmakerError } from '../../core/errors.ts';
import { narDigest, type PathInfo } from '../../core/release/path-info.ts';
import { encodeIndex } from '../../core/release/write-index.ts';
import type { StorePath } from '../../core/store-path.ts';

/**
 * Uses an index in which every NAR is as small as possible: the real one is never shorter.
 * @throws NixmakerError `bundle-too-large`
 */
export function refuseTooLarge(closure: readonly PathInfo[], root: StorePath): void {
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
