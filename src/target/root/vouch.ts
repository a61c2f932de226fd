/**
 * If this machine’s Nix trusts none of the keys that signed a bundle’s paths (people’s SSH keys can’t sign paths; a keyring may have
 * brought a key that nix.conf does not know), root vouches for them: with the machine’s store key it signs exactly the hashes that the
 * signed index pins. The daemon checks the bytes against them, as for any signature, and no privileged process reads a byte of the bundle.
 *
 * Threat: a compromised agent. It gets nothing signed except what the policy’s own keys have signed for this host and what root itself
 * would take or stage now.
 */
import { NixmakerError } from '../../core/errors.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import { encodeKeyBlock } from '../../core/release/nix-signatures.ts';
import { signPath } from '../../signing/path-signature.ts';
import { type Attachments, vouchRequests } from '../../state/requests.ts';
import { type Voucher, writeVoucher } from '../../state/vouchers.ts';
import type { Machine, RootMachine } from '../machine/machine.ts';
import { serveAll, tellRejected } from './serve-requests.ts';
import { readStoreKey } from './store-key.ts';
import { readRequestedIndex, requireWanted, verifyRequested } from './verify.ts';

/** A signature for each path that needs one, in the form of `nix.sig`. @throws NixmakerError `nix-key-untrusted` */
export async function signPaths(
  machine: Pick<Machine, 'floorDirectory'>,
  index: ReleaseIndex,
): Promise<Buffer> {
  const key = await readStoreKey(machine);
  return Buffer.from(
    encodeKeyBlock(index, key.name, (line) => signPath(index.info(line), key)),
    'latin1',
  );
}

/** Serves the agent’s requests. */
export function serveVouchers(machine: RootMachine): Promise<void> {
  return serveAll(machine, vouchRequests, async (request, { acknowledge, attached }) => {
    await acknowledge();
    const answer = await answerTo(machine, attached);
    if ('refusal' in answer)
      tellRejected(machine, 'voucher', `${answer.refusal.code}: ${answer.refusal.detail}`);
    await writeVoucher(machine.settings.activationDirectory, request.transaction, answer);
  });
}

async function answerTo(machine: RootMachine, attached: Attachments): Promise<Voucher> {
  try {
    const verified = await verifyRequested(machine, attached);
    await requireWanted(machine, verified);
    return { signatures: await signPaths(machine, await readRequestedIndex(verified, attached)) };
  } catch (error) {
    if (!(error instanceof NixmakerError)) throw error;
    return { refusal: { code: error.code, detail: error.detail } };
  }
}
