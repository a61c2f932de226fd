/**
 * Bundles on media that others mount (a desktop, an administrator). They are read where they lie and nothing is written
 * there. Of all that this machine would accept the one with the highest sequence is taken; what is not meant for it is
 * passed over in silence.
 */
import { lstat } from 'node:fs/promises';
import { catalogue } from '../core/catalogue.ts';
import { exitCodes } from '../core/errors.ts';
import { type Candidate, listInbox } from '../media/inbox.ts';
import { listMounts, type Mount, mediaAmong } from '../media/mounts.ts';
import { judgeCandidate } from './judge.ts';
import type { Machine } from './machine.ts';

interface Found {
  readonly candidate: Candidate;
  readonly fingerprint: string;
  readonly sequence: number;
}

/** When to look again at something that no event will announce (a copy in progress, Nix down). Milliseconds. */
const retry = 30_000;

/** Folders at or below which media may be. */
export function mediaRoots({ settings, policy }: Pick<Machine, 'settings' | 'policy'>): readonly string[] {
  return [...settings.media.roots, ...(policy.media.mount ? [settings.media.directory] : [])];
}

export class MediaQueue {
  readonly #machine: Machine;
  /** What has been dealt with, by path; forgotten when the file or its medium goes. */
  readonly #settled = new Map<string, string>();
  readonly #later = new Map<string, number>();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** The bundle to take next, if there is one. */
  async next(): Promise<Found | undefined> {
    const roots = mediaRoots(this.#machine);
    if (roots.length === 0) return undefined;
    const media = mediaAmong(await listMounts(this.#machine.run), roots);
    const judged: Found[] = [];
    const present = new Set<string>();
    for (const medium of media) {
      for (const candidate of await listInbox(medium.target)) {
        present.add(candidate.path);
        const found = await this.#judge(medium, candidate);
        if (found !== undefined) judged.push(found);
      }
    }
    // With its medium, or by itself, a file may be gone: nothing is due for it any more.
    for (const paths of [this.#settled, this.#later])
      for (const path of paths.keys()) if (!present.has(path)) paths.delete(path);
    return judged.sort((a, b) => b.sequence - a.sequence)[0];
  }

  /** Not looked at again while its medium stays and it does not change. */
  settle({ candidate, fingerprint }: Found): void {
    this.#settled.set(candidate.path, fingerprint);
  }

  /** Looked at again after a while. */
  defer({ candidate }: Found): void {
    this.#later.set(candidate.path, this.#machine.clock.monotonic() + retry);
  }

  /** After how many milliseconds something that was deferred is due. */
  due(): number | undefined {
    const times = [...this.#later.values()].map((t) => Math.max(0, t - this.#machine.clock.monotonic()));
    return times.length === 0 ? undefined : Math.min(...times);
  }

  async #judge(medium: Mount, candidate: Candidate): Promise<Found | undefined> {
    const { path } = candidate;
    const fingerprint = await fingerprintOf(medium, candidate);
    if (fingerprint === undefined || this.#settled.get(path) === fingerprint) return undefined;
    if ((this.#later.get(path) ?? 0) > this.#machine.clock.monotonic()) return undefined;
    this.#later.delete(path);
    const outcome = await this.#sequenceOf(candidate);
    if (typeof outcome === 'number') return { candidate, fingerprint, sequence: outcome };
    if (outcome === 'later') this.#later.set(path, this.#machine.clock.monotonic() + retry);
    else this.#settled.set(path, fingerprint);
    return undefined;
  }

  /** Its sequence where it would be accepted; otherwise whether to look at it again. */
  async #sequenceOf(candidate: Candidate): Promise<number | 'later' | 'never'> {
    const { judgement, sequence = 0 } = await judgeCandidate(this.#machine, candidate);
    switch (judgement.outcome) {
      case 'accept':
        return sequence;
      case 'incomplete':
      case 'defer':
        return 'later';
      // One stick for a fleet: what is there for others is none of our business.
      case 'other-host':
      case 'already-committed':
      case 'already-pending':
        return 'never';
      case 'refuse':
      case 'unusable': {
        const { code, detail } = judgement;
        // Somebody’s backup, not a bundle.
        if (code === 'not-a-bundle' || code === 'signature-missing') return 'never';
        if (code === 'bundle-truncated' || catalogue[code].exit === exitCodes.deferred) return 'later';
        this.#machine.emit({ event: 'passed-over', source: candidate.path, code, detail });
        return 'never';
      }
    }
  }
}

async function fingerprintOf(medium: Mount, { path }: Candidate): Promise<string | undefined> {
  try {
    const { size, mtimeMs, ino } = await lstat(path);
    return `${medium.source}:${ino}:${size}:${mtimeMs}`;
  } catch {
    // The medium is going, or gone.
    return undefined;
  }
}
