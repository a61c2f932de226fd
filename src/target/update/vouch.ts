/** Whether Nix takes a bundle’s paths as they are signed, and root’s signatures where it does not (root/vouch.ts). */
import type { OpenedBundle } from '../../bundle/contents.ts';
import { trustedKeysOf } from '../../nix/settings.ts';
import type { Machine } from '../machine/machine.ts';
import type { AskedVoucher, Root } from '../machine/root.ts';
import type { Contents } from './open.ts';

/** Signatures to add to the bundle’s narinfos; undefined where Nix takes them as they are. */
export async function vouchFor(
  { nix }: Pick<Machine, 'nix'>,
  root: Root,
  { contents, ...asked }: AskedVoucher & { readonly contents: Contents },
): Promise<Readonly<Record<string, string>> | undefined> {
  if (contents.kind !== 'bundle') return undefined;
  const trusted = await trustedKeysOf(nix);
  const names = new Set(trusted.map((text) => text.slice(0, text.indexOf(':'))));
  if (isSignedFor(contents.bundle, names)) return undefined;
  const signatures = await root.vouch(asked);
  asked.transaction.emit('vouched', { paths: Object.keys(signatures).length });
  return signatures;
}

/** By name only; whether the signatures fit is for Nix to say. A path that is named after its contents needs none. */
function isSignedFor({ narinfos }: OpenedBundle, names: ReadonlySet<string>): boolean {
  return [...narinfos.values()].every(
    ({ ca, signatures }) =>
      ca !== undefined || signatures.some((text) => names.has(text.slice(0, text.indexOf(':')))),
  );
}
