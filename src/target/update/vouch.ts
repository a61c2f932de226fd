/** Whether Nix accepts a bundle’s paths as signed, and root’s signatures if it does not (root/vouch.ts). */
import type { NixSignatures } from '../../core/release/nix-signatures.ts';
import { trustedKeysOf } from '../../nix/settings.ts';
import type { Machine } from '../machine/machine.ts';
import type { AskedVoucher, Root } from '../machine/root.ts';
import type { Contents } from './open.ts';
import type { ImportPlan } from './plan-import.ts';

/**
 * Whether everything to be imported has a signature by a key that Nix trusts. By name only: whether the signatures match is for Nix to say,
 * and if it says no, root can still be asked.
 */
export async function isSignedForNix(
  { nix }: Pick<Machine, 'nix'>,
  contents: Contents,
  { missing }: Pick<ImportPlan, 'missing'>,
): Promise<boolean> {
  if (contents.kind !== 'bundle') return true;
  const { index, nixSignatures } = contents.bundle;
  if (missing.every((line) => index.isContentAddressed(line))) return true;
  const trusted = await trustedKeysOf(nix);
  const names = new Set(trusted.map((text) => text.slice(0, text.indexOf(':'))));
  return nixSignatures.keyNames.some((name) => names.has(name));
}

/** Signatures to add to the bundle’s own. @throws NixmakerError `nix-key-untrusted` */
export async function vouchFor(root: Root, asked: AskedVoucher): Promise<NixSignatures> {
  const signatures = await root.vouch(asked);
  asked.transaction.emit('vouched', { paths: asked.release.index.length });
  return signatures;
}
