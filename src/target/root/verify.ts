/** What the agent has asked root about, verified by root itself, with keys from root’s own policy. */
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import type { Verdict } from '../../core/policy/decide.ts';
import { toStage } from '../../core/policy/stage.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import { readIndexOf } from '../../core/release/signed-index.ts';
import { manifestDigest as sha256, type VerifiedManifest, verifyManifest } from '../../signing/verify.ts';
import type { Attachments } from '../../state/requests.ts';
import { decideHere } from '../machine/decision.ts';
import type { RootMachine } from '../machine/machine.ts';
import type { SignedHead } from '../machine/root.ts';

export interface Requested {
  readonly verified: VerifiedManifest;
  /** The bytes that were verified: the agent may have put others in their place since. */
  readonly head: SignedHead;
}

/** Each file is read once, into root’s own memory. @throws NixmakerError as `verifyManifest` */
export async function readRequested(
  { trust }: Pick<RootMachine, 'trust'>,
  attached: Attachments,
): Promise<Requested> {
  const manifestBytes = await attached.read('manifest', limits.manifestBytes);
  const signatureBytes = await attached.read('signatures', limits.signatureFileBytes);
  const verified = verifyManifest(manifestBytes, signatureBytes, trust);
  return { verified, head: { manifestBytes, signatureBytes } };
}

/** @throws NixmakerError as `verifyManifest` */
export const verifyRequested = async (
  machine: Pick<RootMachine, 'trust'>,
  attached: Attachments,
): Promise<VerifiedManifest> => (await readRequested(machine, attached)).verified;

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

/**
 * What the agent needs in order to bring a release, root does for one that it would install now, or stage.
 * @throws NixmakerError with the reason if it would do neither
 */
export async function requireWanted(machine: RootMachine, verified: VerifiedManifest): Promise<Verdict> {
  const verdict = await decideAsRoot(machine, verified);
  const isWaited = toStage(machine.policy, verdict, { unattended: true }) !== undefined;
  if (verdict.verdict === 'refuse' || (verdict.verdict === 'defer' && !isWaited))
    throw new NixmakerError(verdict.code, verdict.detail);
  return verdict;
}
