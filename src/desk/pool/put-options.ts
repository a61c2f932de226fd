/** What `put` is told, and what it reports. */
import type { BundleParts } from '../../bundle/write.ts';
import type { PartItem } from './put-item.ts';

export interface PutOptions {
  readonly medium: string;
  readonly bundles: readonly string[];
  /** Releases that are not in a bundle. */
  readonly releases?: readonly BundleParts[];
  /** For one of several media: what it carries of a release, by the digest of its manifest; nothing of the others. */
  readonly partOf?: ((digest: string) => PartItem | undefined) | undefined;
  /** To put a list of what is in it beside each manifest: nixmaker’s own version, which the list names. */
  readonly sbom?: string | undefined;
  /** Sequences kept per host. */
  readonly keep: number;
  /** Whether to look for what no entry needs: `true` however many entries there are, `false` not now. If unset, when it pays. */
  readonly clear?: boolean;
  /** What was put just before, one host at a time. */
  readonly before?: Pick<PutResult, 'hosts' | 'pruned'>;
  /** Files written or read back a moment ago, by path: shared by hosts that are put one at a time. */
  readonly good?: Set<string>;
  /** Size limit for a file in bytes; FAT32's unless told otherwise. */
  readonly largest?: number;
  /** Is told who is using the medium while it waits for them. */
  readonly onWait?: (who: string) => void;
  /** Seconds to wait for another; if unset, ten minutes. */
  readonly patience?: number;
}

export interface PutProgress {
  readonly host: string;
  readonly phase: 'copying' | 'flushing' | 'reading back';
  /** Bytes of all hosts together: each byte written counts again when it is read back. */
  readonly done: number;
  readonly total: number;
}

export interface PutHost {
  readonly host: string;
  readonly sequence: number;
  /** `older`: the medium already has a higher sequence for this host. */
  readonly status: 'written' | 'there' | 'older';
  /** Files written, and their bytes; the others were there already. */
  readonly files: number;
  readonly bytes: number;
}

export interface PutResult {
  readonly hosts: readonly PutHost[];
  /** Entries with older sequences that were deleted. */
  readonly pruned: number;
  /** Files no entry needed any more. */
  readonly collected: number;
  readonly notices: readonly string[];
}
