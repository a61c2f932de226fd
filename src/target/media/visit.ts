/** What is known about a place while it is there. */
import { relative } from 'node:path';
import { catalogue, isPassing } from '../../core/catalogue.ts';
import { NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import type { Finding } from '../../core/run/host-receipt.ts';
import type { Wait } from '../../core/run/waits.ts';
import type { Candidate } from '../../media/inbox.ts';
import type { Machine } from '../machine/machine.ts';
import type { Place } from '../machine/places.ts';
import { Lookalikes } from '../update/lookalikes.ts';
import { Postponed } from '../update/postponed.ts';
import { Unreadable } from '../update/unreadable.ts';
import type { Judged } from './judge.ts';

/** How often an unreadable file is tried. */
const mostFailures = 3;
/** Findings kept about files that are gone. */
const mostGone = 1000;

export class Visit {
  readonly place: Place;
  /** What has been dealt with, by path, with its fingerprint at the time. */
  readonly done = new Map<string, string>();
  /** Dealt with as one of several media, by path. */
  readonly parts = new Set<string>();
  readonly later: Postponed;
  readonly findings = new Map<string, Finding>();
  readonly unreadable: Unreadable;
  readonly lookalikes = new Lookalikes();
  readonly #failures = new Map<string, number>();
  readonly #now: () => string;
  /** Something there concerns us: a pool, or a bundle for this host. */
  isOurs = false;
  isOver = false;
  /** Something there may be a bundle but does not have the name of one. */
  hasMisnamed = false;
  /** Why it has stopped responding; it is left alone until it is gone. */
  silent: Wait | undefined;

  constructor(place: Place, machine: Pick<Machine, 'clock' | 'emit'>) {
    this.place = place;
    this.later = new Postponed(machine.clock);
    this.unreadable = new Unreadable(machine, place.root);
    this.#now = () => machine.clock.now().toISOString();
    this.isOurs = place.kind === 'folder';
  }

  get isSilent(): boolean {
    return this.silent !== undefined;
  }

  get isWaiting(): boolean {
    return this.isSilent || !this.unreadable.isEmpty || this.later.has((l) => l.isOurs);
  }

  silence(code: string, detail: string | undefined): void {
    this.silent = given({ path: this.place.root, code, detail, since: this.#now() });
  }

  note({ path }: Pick<Candidate, 'path'>, finding: Omit<Finding, 'file'>): void {
    const file = relative(this.place.root, path) || '.';
    this.findings.set(path, { file, ...finding });
    this.isOurs ||= finding.sequence !== undefined;
    this.isOver = false;
  }

  /** What can’t be read is reported once, and does not hold up the rest of the place. */
  noteUnreadable(path: string, error: unknown): void {
    if (!this.unreadable.note(path, error)) return;
    const { code, detail } = this.unreadable.waits().at(-1) ?? {};
    this.note({ path }, { outcome: 'unreadable', ...given({ code, detail }) });
  }

  /** @returns whether we give up on it */
  hasFailed({ path }: Candidate): boolean {
    const count = (this.#failures.get(path) ?? 0) + 1;
    this.#failures.set(path, count);
    return count >= mostFailures;
  }

  /** What is gone needs no more attention, but is still reported. Visits to a carrier’s folder have no end. */
  keepOnly(present: ReadonlySet<string>): void {
    this.later.keepOnly(present);
    for (const known of [this.done, this.#failures])
      for (const path of known.keys()) if (!present.has(path)) known.delete(path);
    const unreadable = new Set(this.unreadable.waits().map(({ path }) => path));
    for (const [path, { outcome }] of this.findings)
      if (outcome === 'unreadable' && !unreadable.has(path)) this.findings.delete(path);
    const gone = [...this.findings.keys()].filter((path) => !present.has(path));
    for (const path of gone.slice(0, -mostGone)) this.findings.delete(path);
  }

  /** Each is looked at once more. */
  retryParts(): void {
    for (const path of this.parts) this.done.delete(path);
    this.parts.clear();
  }

  /** Those that were staged, or were passed over because they are. */
  retryStaged(): void {
    for (const [path, { outcome }] of this.findings)
      if (outcome === 'staged' || outcome === 'already-staged') this.done.delete(path);
  }

  waits(): Wait[] {
    return this.silent === undefined ? [...this.unreadable.waits(), ...this.later.waits()] : [this.silent];
  }
}

/** Why something is as it is. */
export interface Told {
  readonly code?: ReasonCode | undefined;
  readonly detail?: string | undefined;
}

/** Whether what can’t be taken now may be later. @throws NixmakerError `medium-stalled` */
export function isForLater(visit: Visit, candidate: Candidate, { judgement }: Judged): boolean {
  // Nothing is copied to a read-only mount: the file stays as short as it is.
  const mayGrow = visit.place.kind !== 'own';
  if (judgement.outcome === 'incomplete') return mayGrow;
  if (judgement.outcome === 'defer') return true;
  if (judgement.outcome !== 'unusable') return false;
  const { code, detail } = judgement;
  if (code === 'medium-stalled') throw new NixmakerError(code, detail);
  if (code === 'medium-unreadable') return !visit.hasFailed(candidate);
  return (code === 'bundle-truncated' && mayGrow) || isPassing(catalogue[code].exit);
}

export interface FinishedVisit {
  readonly place: Place;
  readonly findings: readonly Finding[];
  /** Why no receipt is due. */
  readonly without?: 'nothing' | 'unreadable' | 'silent' | 'misnamed';
}

/**
 * When nixmaker mounted a medium, it told somebody to leave it in until told otherwise. So it has to announce when the medium may be
 * removed, even if it held nothing for this machine. About a medium that others mounted, nothing was said.
 */
const endsWithout = (visit: Visit): boolean =>
  visit.place.kind === 'own' &&
  !visit.isOver &&
  (visit.isSilent || (!visit.isOurs && !visit.later.has(() => true)));

function whyWithout({ isSilent, unreadable, hasMisnamed }: Visit): FinishedVisit['without'] & string {
  if (isSilent) return 'silent';
  if (!unreadable.isEmpty) return 'unreadable';
  return hasMisnamed ? 'misnamed' : 'nothing';
}

/** Those of the visits that are over, which they are from now on. */
export function endVisits(visits: readonly Visit[]): FinishedVisit[] {
  const over = visits.filter((v) => v.isOurs && !v.isOver && !v.isSilent && !v.later.has((l) => l.isOurs));
  const others = visits.filter((v) => !over.includes(v) && endsWithout(v));
  for (const visit of [...over, ...others]) visit.isOver = true;
  return [
    ...over.map(({ place, findings }) => ({ place, findings: [...findings.values()] })),
    ...others.map((v) => ({ place: v.place, findings: [...v.findings.values()], without: whyWithout(v) })),
  ];
}
