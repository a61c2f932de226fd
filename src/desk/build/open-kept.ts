/** What earlier builds have kept for this one: compressed NARs, and signatures of paths. */
import type { NixContext } from '../../nix/command.ts';
import type { Signer } from '../../signing/signer.ts';
import { NarCache } from './nar-cache.ts';
import { PathSigner } from './path-signer.ts';

export interface Kept {
  readonly nars: NarCache | undefined;
  /** With the key, if it is here. */
  readonly pathSigner: PathSigner | undefined;
}

/** @param from `keep`: the folder; if unset, nothing is kept */
export async function openKept(
  { keep, signer }: { readonly keep?: string; readonly signer?: Signer },
  { warn }: Pick<NixContext, 'warn'>,
): Promise<Kept> {
  const nars = keep === undefined ? undefined : await NarCache.open(keep, (text) => warn?.(text));
  const key = signer?.key;
  return { nars, pathSigner: key && new PathSigner(key, await nars?.signaturesOf(key.publicKey)) };
}
