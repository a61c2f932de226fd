/** What `put` is told, and what it says of what it has done. */
import type { BundleParts } from '../../bundle/write.ts';

export interface PutOptions {
  readonly medium: string;
  readonly bundles: readonly string[];
  /** Releases that are in no bundle. */
  readonly releases?: readonly BundleParts[];
  /** Sequences kept of each host that is put. */
  readonly keep: number;
  /** Whether what no entry needs is looked for: however many entries there are, or not now. Without, as it is worth it. */
  readonly clear?: boolean;
  /** What was put just before, one host at a time. */
  readonly before?: Pick<PutResult, 'hosts' | 'pruned'>;
  /** Files that were written or read back a moment ago, by path: hosts that are put one at a time share it. */
  readonly good?: Set<string>;
  /** Bytes of the largest file; FAT32's limit unless told otherwise. */
  readonly largest?: number;
  /** Hears who is at work on the medium where that is waited for. */
  readonly onWait?: (who: string) => void;
  /** Seconds to wait for another; without, ten minutes. */
  readonly patience?: number;
}

export interface PutProgress {
  readonly host: string;
  readonly phase: 'copying' | 'flushing' | 'reading back';
  /** Bytes of all hosts together: each byte that is written counts again when it is read back. */
  readonly done: number;
  readonly total: number;
}

export interface PutHost {
  readonly host: string;
  readonly sequence: number;
  /** `older`: the medium has a higher sequence of this host already. */
  readonly status: 'written' | 'there' | 'older';
  /** Files written, and their bytes; the others were there. */
  readonly files: number;
  readonly bytes: number;
}

export interface PutResult {
  readonly hosts: readonly PutHost[];
  /** Entries of older sequences that were taken away. */
  readonly pruned: number;
  /** Files no entry needed any more. */
  readonly collected: number;
  readonly notices: readonly string[];
}
