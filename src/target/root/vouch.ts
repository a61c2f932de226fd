/**
 * Where Nix on this machine trusts none of the keys that signed a bundle’s paths (persons’ SSH keys can’t sign paths; a
 * keyring may have brought a key that nix.conf does not know), root vouches for them: it signs, with the machine’s store
 * key, exactly the hashes that the verified manifest pins. The daemon checks the bytes against them, as it does for any
 * signature, and nobody with privileges reads a byte of the bundle.
 *
 * Threat: an agent that was taken over. It gets nothing signed but what the policy’s own keys have signed for this host,
 * and what root itself would take now.
 */
import type { Manifest } from '../../core/bundle/manifest.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { StorePath } from '../../core/store-path.ts';
import { signPath } from '../../signing/path-signature.ts';
import { type VouchRequestFile, vouchRequests } from '../../state/requests.ts';
import { type Voucher, writeVoucher } from '../../state/vouchers.ts';
import type { Machine, RootMachine } from '../machine/machine.ts';
import { serveAll, tellRejected } from './serve-requests.ts';
import { readStoreKey } from './store-key.ts';
import { decideAsRoot, verifyRequested } from './verify.ts';

/** A signature for each path, as narinfos have them. @throws NixmakerError `nix-key-untrusted` */
export async function signPaths(
  machine: Pick<Machine, 'floorDirectory'>,
  { paths }: Manifest,
): Promise<Record<StorePath, string>> {
  const key = await readStoreKey(machine);
  return Object.fromEntries(paths.map((info) => [info.path, signPath(info, key)]));
}

/** Serves the agent’s requests. */
export function serveVouchers(machine: RootMachine): Promise<void> {
  return serveAll(machine, vouchRequests, async (request, acknowledge) => {
    await acknowledge();
    const answer = await answerTo(machine, request);
    if (answer.refusal !== undefined) tellRejected(machine, 'voucher', answer.refusal);
    await writeVoucher(machine.settings.activationDirectory, request.transaction, answer);
  });
}

async function answerTo(machine: RootMachine, request: VouchRequestFile): Promise<Voucher> {
  try {
    const verified = verifyRequested(machine, request);
    const verdict = await decideAsRoot(machine, verified, machine.policy.operation);
    if (verdict.verdict === 'refuse' || verdict.verdict === 'defer')
      throw new NixmakerError(verdict.code, verdict.detail);
    return { schema: 1, signatures: await signPaths(machine, verified.manifest) };
  } catch (error) {
    if (!(error instanceof NixmakerError)) throw error;
    return {
      schema: 1,
      signatures: {},
      refusal: `root does not vouch for its paths: ${error.code}: ${error.detail}`,
    };
  }
}
