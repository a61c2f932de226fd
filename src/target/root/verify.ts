/**
 * Root’s own look at what the agent asks for. It believes nothing the agent says: the manifest is verified again with the keys
 * of root’s own policy file, and decided again, with root’s own floor.
 */
import type { Verdict } from '../../core/policy/decide.ts';
import type { Operation } from '../../core/schema.ts';
import { type VerifiedManifest, verifyManifest } from '../../signing/verify.ts';
import { decideHere } from '../machine/decision.ts';
import type { RootMachine } from '../machine/machine.ts';

/** As it stands in a request: base64. */
export interface RequestedHead {
  readonly manifest: string;
  readonly signatures: string;
}

/** @throws NixmakerError as `verifyManifest` */
export function verifyRequested(
  { trust }: Pick<RootMachine, 'trust'>,
  head: RequestedHead,
): VerifiedManifest {
  return verifyManifest(Buffer.from(head.manifest, 'base64'), Buffer.from(head.signatures, 'base64'), trust);
}

/** What root itself would do with it now, whoever has asked. */
export function decideAsRoot(
  machine: RootMachine,
  verified: VerifiedManifest,
  operation: Operation,
): Promise<Verdict> {
  return decideHere(machine, verified, { operation, unattended: true });
}
