/**
 * What the agent asks of root: the port between the two sides. Two adapters: root/direct.ts does it in this process,
 * ask/by-request.ts has nixmaker-activate.service and nixmaker-receipts.service do it (docs/adr/0019).
 */

import type { ReleaseIndex } from '../../core/release/index-file.ts';
import type { NixSignatures } from '../../core/release/nix-signatures.ts';
import type { Freed } from '../../core/run/freed.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import type { Operation } from '../../core/schema.ts';
import type { StorePath } from '../../core/store-path.ts';
import type { VerifiedManifest } from '../../signing/verify.ts';
import type { VisitFile } from '../../state/requests.ts';
import type { Transaction } from './transaction.ts';

/** The bytes that were verified, for whoever has to verify them again. */
export interface SignedHead {
  readonly manifestBytes: Buffer;
  readonly signatureBytes: Buffer;
}

/** What was signed, verified and read here. */
export interface SignedRelease {
  readonly verified: VerifiedManifest;
  readonly head: SignedHead;
  readonly index: ReleaseIndex;
}

export interface AskedActivation {
  /** The agent’s run; it ends as the activation does. */
  readonly transaction: Transaction;
  readonly toplevel: StorePath;
  /** What is to be in the store; undefined for a tarball that nobody has signed: root alone takes one, by hand. */
  readonly release: SignedRelease | undefined;
  readonly operation: Operation;
  /** Nobody has asked for it by hand: where the policy wants a local word, it is asked for. */
  readonly unattended: boolean;
}

export interface AskedVoucher {
  readonly transaction: Transaction;
  readonly release: SignedRelease;
}

/** A release for which there is no room. */
export interface AskedRoom {
  readonly transaction: Transaction;
  readonly release: SignedRelease;
}

export interface AskedKeyring {
  /** As it came, signatures and all. */
  readonly envelope: string;
  /** As it says itself. */
  readonly version: number;
  /** Where it lies, for people. */
  readonly source: string;
}

export interface Root {
  /** Activates what is in the store. @throws NixmakerError `busy` where root does not answer */
  activate(asked: AskedActivation): Promise<Receipt>;
  /**
   * Signatures over the index’s paths by the machine’s store key.
   * @throws NixmakerError `nix-key-untrusted`, `busy`
   */
  vouch(asked: AskedVoucher): Promise<NixSignatures>;
  /**
   * Deletes old generations and garbage, as far as the policy lets them go and the release needs their room.
   * @returns what was freed, be it enough or not, and why it was no more where root has ended early or not begun
   * @throws NixmakerError `operation-forbidden`, `busy`
   */
  makeRoom(asked: AskedRoom): Promise<Freed>;
  /** Trusts the keys of a keyring from now on. @throws NixmakerError as `verifyKeyring`, `busy` */
  acceptKeyring(asked: AskedKeyring): Promise<void>;
  /** Writes receipts to a medium that is done with, and says that it may go. */
  endVisit(visit: VisitFile): Promise<void>;
  /** Brings to rest what was cut off, as far as it is this process’s. The lock must be held. */
  resume(): Promise<Receipt[]>;
}
