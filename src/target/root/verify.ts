/** What the agent has asked root about, verified by root itself, with keys from root’s own policy. */
import { limits } from '../../core/limits.ts';
import type { Verdict } from '../../core/policy/decide.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import { readIndexOf } from '../../core/release/signed-index.ts';
import { manifestDigest as sha256, type VerifiedManifest, verifyManifest } from '../../signing/verify.ts';
import type { Attachments } from '../../state/requests.ts';
import { decideHere } from '../machine/decision.ts';
import type { RootMachine } from '../machine/machine.ts';

/** Each file is read once, into root’s own memory. @throws NixmakerError as `verifyManifest` */
export async function verifyRequested(
  { trust }: Pick<RootMachine, 'trust'>,
  attached: Attachments,
): Promise<VerifiedManifest> {
  const manifest = await attached.read('manifest', limits.manifestBytes);
  const signatures = await attached.read('signatures', limits.signatureFileBytes);
  return verifyManifest(manifest, signatures, trust);
}

/**
 * Read only once its size and digest are known from what was signed. Threat: a compromised agent swaps the file while root reads it; what
 * counts is the digest of the bytes actually read.
 * @throws NixmakerError as `readIndexOf`
 */
export async function readRequestedIndex(
  { manifest }: VerifiedManifest,
  attached: Attachments,
): Promise<ReleaseIndex> {
  const { size } = manifest.index;
  const bytes = await attached.read('index', size);
  return readIndexOf(manifest, bytes, sha256(bytes));
}

/** What root itself would do with it now, by its own policy and unattended, whoever asked and for whatever operation. */
export function decideAsRoot(machine: RootMachine, verified: VerifiedManifest): Promise<Verdict> {
  return decideHere(machine, verified, { operation: machine.policy.operation, unattended: true });
}
