/**
 * What the agent asks of root: the port between the two sides. It has two adapters: root/direct.ts does the work in this process,
 * ask/by-request.ts has nixmaker-activate.service and nixmaker-receipts.service do it (docs/adr/0019).
 */

import type { StagedWait } from '../../core/policy/stage.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import type { NixSignatures } from '../../core/release/nix-signatures.ts';
import type { ContentsRecord } from '../../core/run/damage.ts';
import type { Freed } from '../../core/run/freed.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import type { Operation } from '../../core/schema.ts';
import type { StorePath } from '../../core/store-path.ts';
import type { VerifiedManifest } from '../../signing/verify.ts';
import type { VisitFile } from '../../state/requests.ts';
import type { Transaction } from './transaction.ts';

/** The verified bytes, for a process that has to verify them again. */
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
  /** What must be in the store; undefined for an unsigned tarball, which only root accepts, and only by hand. */
  readonly release: SignedRelease | undefined;
  readonly operation: Operation;
  /** Nobody asked for it by hand: if the policy requires a local approval, it is asked for. */
  readonly unattended: boolean;
  /** Why it is not to be installed yet but staged. Root by request finds out for itself. */
  readonly wait?: StagedWait | undefined;
}

export interface AskedVoucher {
  readonly transaction: Transaction;
  readonly release: SignedRelease;
}

/** A release for which there is not enough room. */
export interface AskedRoom {
  readonly transaction: Transaction;
  readonly release: SignedRelease;
}

export interface AskedKeyring {
  /** As it came, signatures and all. */
  readonly envelope: string;
  /** As it states itself. */
  readonly version: number;
  /** Where it is, in words for people. */
  readonly source: string;
}

export interface Root {
  /** Activates what is in the store. @throws NixmakerError `busy` if root does not answer */
  activate(asked: AskedActivation): Promise<Receipt>;
  /**
   * Signs the index’s paths with the machine’s store key.
   * @throws NixmakerError `nix-key-untrusted`, `busy`
   */
  vouch(asked: AskedVoucher): Promise<NixSignatures>;
  /**
   * Deletes old generations and garbage, as far as the policy allows and the release needs the room.
   * @returns what was freed, whether or not it is enough, and why it was no more if root stopped early or never began
   * @throws NixmakerError `operation-forbidden`, `busy`
   */
  makeRoom(asked: AskedRoom): Promise<Freed>;
  /**
   * Puts whole contents in the place of damaged ones, as far as they have been brought into the store.
   * @returns what is damaged afterwards
   * @throws NixmakerError `operation-forbidden`, `io-error`, `busy`
   */
  repair(): Promise<ContentsRecord>;
  /** Trusts the keys of a keyring from now on. @throws NixmakerError as `verifyKeyring`, `busy` */
  acceptKeyring(asked: AskedKeyring): Promise<void>;
  /** Writes receipts to a medium that is finished with, and announces that it may be removed. */
  endVisit(visit: VisitFile): Promise<void>;
  /**
   * Installs the release that is staged, if its time has come.
   * @returns the receipt of its run, in state `staged` if it waits on; undefined if none is staged
   * @throws NixmakerError `busy`
   */
  activateStaged(): Promise<Receipt | undefined>;
  /** Settles what was cut off, as far as this process is responsible. The lock must be held. */
  resume(): Promise<Receipt[]>;
}
