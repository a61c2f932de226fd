/**
 * Bundles that lie where we do not move them: on media, and in folders that carriers fill. They are read where they lie. Of
 * all that this machine would accept the one with the highest sequence is taken; what is not meant for it is passed over
 * in silence. When nothing is left to do at a place, its visit is over (visit.ts).
 */
import { lstat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { catalogue } from '../../core/catalogue.ts';
import { hasErrno } from '../../core/errno.ts';
import { exitCodes, messageOf, NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import type { Clock } from '../../core/ports.ts';
import type { Finding } from '../../core/run/host-receipt.ts';
import type { Candidate } from '../../media/inbox.ts';
import type { Machine } from '../machine/machine.ts';
import { listPlaces, type Place } from '../machine/places.ts';
import type { InHand } from '../update/in-hand.ts';
import { type Access, accessTo } from '../update/medium-access.ts';
import { Postponed } from '../update/postponed.ts';
import { type Listing, listCandidates } from './candidates.ts';
import { type Judged, judgeCandidate } from './judge.ts';

export interface Found {
  readonly place: Place;
  readonly candidate: Candidate;
  readonly fingerprint: string;
  readonly sequence: number;
  /** Why it is not taken but set aside. */
  readonly why?: string;
}

/** When to look again at something that no event will announce (a copy in progress, Nix down). Milliseconds. */
const retry = 30_000;
/** Findings kept of files that are gone; times a file is tried that can’t be read. */
const [mostGone, mostFailures] = [1000, 3];

interface Later {
  /** It is for this host: the visit is not over without it. */
  readonly isOurs: boolean;
}

/** What is known of a place while it is there. */
class Visit {
  readonly place: Place;
  /** What has been dealt with, by path: its fingerprint then. */
  readonly done = new Map<string, string>();
  readonly later: Postponed<Later>;
  readonly failures = new Map<string, number>();
  readonly findings = new Map<string, Finding>();
  /** Something there is ours: a pool, or a bundle for this host. */
  isOurs = false;
  isOver = false;
  /** It has stopped to answer, and is left alone until it is gone. */
  isSilent = false;
  /** Not all there can be read, which has been said. */
  isUnreadable = false;

  constructor(place: Place, clock: Clock) {
    this.place = place;
    this.later = new Postponed(clock);
    this.isOurs = place.kind === 'folder';
  }

  note(candidate: Candidate, finding: Omit<Finding, 'file'>): void {
    const file = relative(this.place.root, candidate.path);
    this.findings.set(candidate.path, { file, ...finding });
    this.isOurs ||= finding.sequence !== undefined;
    this.isOver = false;
  }
}

export interface FinishedVisit {
  readonly place: Place;
  readonly findings: readonly Finding[];
  /** Why no receipt is due. */
  readonly without?: 'nothing' | 'unreadable' | 'silent';
}

/**
 * Of a medium that nixmaker has mounted a person was told to leave it in until it is said that it may go: so that has to be said, also
 * where it has nothing for this machine. Of one that others have mounted nothing was said.
 */
const endsWithout = (visit: Visit): boolean =>
  visit.place.kind === 'own' &&
  !visit.isOver &&
  (visit.isSilent || (!visit.isOurs && !visit.later.has(() => true)));

const whyWithout = ({ isSilent, isUnreadable }: Visit) =>
  isSilent ? 'silent' : isUnreadable ? 'unreadable' : 'nothing';

export class MediaQueue {
  readonly #machine: Machine;
  readonly #inHand: Pick<InHand, 'looking' | 'whySetAside'>;
  readonly #access: Access;
  readonly #visits = new Map<string, Visit>();

  constructor(machine: Machine, inHand: Pick<InHand, 'looking' | 'whySetAside'>) {
    this.#machine = machine;
    this.#inHand = inHand;
    this.#access = accessTo(machine, { onMedium: true });
  }

  /** The bundle to take next, if there is one. */
  async next(): Promise<Found | undefined> {
    const places = await listPlaces(this.#machine);
    const present = new Set(places.map((p) => p.id));
    for (const id of this.#visits.keys()) if (!present.has(id)) this.#visits.delete(id);
    const judged: Found[] = [];
    for (const place of places) {
      const visit = this.#visits.get(place.id) ?? this.#begin(place);
      if (!visit.isSilent) judged.push(...(await this.#look(visit)));
    }
    return judged.sort((a, b) => b.sequence - a.sequence)[0];
  }

  #begin(place: Place): Visit {
    const visit = new Visit(place, this.#machine.clock);
    this.#visits.set(place.id, visit);
    if (place.isDangerous) {
      visit.isSilent = true;
      const because = 'its superblock asks for a kernel panic, and it was mounted without errors=remount-ro';
      this.#machine.emit({ event: 'medium-left-alone', level: 'warn', place: place.root, because });
    }
    return visit;
  }

  /** Whether the place has stopped to answer: nobody should read there, for a read that never ends takes a thread with it. */
  isSilent(id: string): boolean {
    return this.#visits.get(id)?.isSilent === true;
  }

  /** Places at which nothing is left to do; each is told once, until something new is there. */
  finished(): FinishedVisit[] {
    const over = [...this.#visits.values()].filter(
      (v) => v.isOurs && !v.isOver && !v.isSilent && !v.later.has((l) => l.isOurs),
    );
    const others = [...this.#visits.values()].filter((v) => !over.includes(v) && endsWithout(v));
    for (const visit of [...over, ...others]) visit.isOver = true;
    return [
      ...over.map(({ place, findings }) => ({ place, findings: [...findings.values()] })),
      ...others.map((v) => ({ place: v.place, findings: [], without: whyWithout(v) })),
    ];
  }

  /** Not looked at again while its medium stays and it does not change. */
  markDone({ place, candidate, fingerprint, ...found }: Found, outcome: string, code?: ReasonCode): void {
    const visit = this.#visits.get(place.id);
    visit?.done.set(candidate.path, fingerprint);
    // Of what is set aside nobody has looked whose it is.
    const known =
      found.why === undefined ? { host: this.#machine.policy.host, sequence: found.sequence } : {};
    visit?.note(candidate, given({ ...known, outcome, code }));
  }

  /** Looked at again after a while. */
  defer(found: Found, code: ReasonCode | undefined): void {
    const visit = this.#visits.get(found.place.id);
    if (visit === undefined) return;
    if (code === 'medium-stalled') this.#silence(visit, code, '');
    else if (code === 'medium-unreadable' && this.#hasFailed(visit, found.candidate))
      this.markDone(found, 'unreadable', code);
    else visit.later.postpone(found.candidate.path, retry, { isOurs: true });
  }

  /** After how many milliseconds something that was deferred is due. */
  due(): number | undefined {
    const times = [...this.#visits.values()].flatMap((v) => (v.isSilent ? [] : (v.later.soonest() ?? [])));
    return times.length === 0 ? undefined : Math.min(...times);
  }

  async #look(visit: Visit): Promise<Found[]> {
    try {
      const { candidates, hasPool, fault } = await this.#list(visit);
      visit.isOurs ||= hasPool;
      if (fault !== undefined) this.#tellUnreadable(visit, fault);
      const found: Found[] = [];
      for (const candidate of candidates) found.push(...(await this.#judgeOne(visit, candidate)));
      return found;
    } catch (error) {
      if (!(error instanceof NixmakerError)) throw error;
      if (error.code === 'medium-stalled') this.#silence(visit, error.code, error.detail);
      else if (error.code === 'medium-unreadable') this.#tellUnreadable(visit, error);
      else throw error;
      return [];
    }
  }

  async #list({ place, done, later, findings, failures }: Visit): Promise<Listing> {
    const listing = await listCandidates(place.root, this.#machine.policy.host, this.#access);
    const present = new Set(listing.candidates.map((c) => c.path));
    later.keepOnly(present);
    for (const path of done.keys()) if (!present.has(path)) done.delete(path);
    for (const path of failures.keys()) if (!present.has(path)) failures.delete(path);
    // What was there is told although it has gone; but a folder that a carrier fills has no end.
    const gone = [...findings.keys()].filter((path) => !present.has(path));
    for (const path of gone.slice(0, -mostGone)) findings.delete(path);
    return listing;
  }

  /** What is wrong with one, whatever it is, keeps no other waiting. */
  async #judgeOne(visit: Visit, candidate: Candidate): Promise<Found[]> {
    try {
      return await this.#judge(visit, candidate);
    } catch (error) {
      if (error instanceof NixmakerError) throw error;
      const { path } = candidate;
      this.#machine.emit({ event: 'fault', level: 'error', source: path, detail: messageOf(error) });
      visit.later.postpone(path, retry, { isOurs: false });
      return [];
    }
  }

  async #judge(visit: Visit, candidate: Candidate): Promise<Found[]> {
    const { path } = candidate;
    const fingerprint = await this.#fingerprintOf(visit, candidate);
    if (fingerprint === undefined || visit.done.get(path) === fingerprint) return [];
    if (visit.later.left(path) > 0) return [];
    visit.later.delete(path);
    const why = await this.#inHand.whySetAside(candidate);
    // Behind all that is good.
    if (why !== undefined) return [{ place: visit.place, candidate, fingerprint, sequence: 0, why }];
    const judged = await this.#inHand.looking(candidate, () => judgeCandidate(this.#machine, candidate));
    const { judgement, sequence = 0 } = judged;
    if (judgement.outcome === 'accept') return [{ place: visit.place, candidate, fingerprint, sequence }];
    if (this.#isForLater(visit, candidate, judged)) {
      // Of a file too short to tell, nobody knows whether it will ever be a bundle.
      const isOurs = judgement.outcome !== 'unusable' || candidate.format === 'pool';
      visit.later.postpone(path, retry, { isOurs });
    } else {
      visit.done.set(path, fingerprint);
      this.#noteOutcome(visit, candidate, judged);
    }
    return [];
  }

  #isForLater(visit: Visit, candidate: Candidate, { judgement }: Judged): boolean {
    // Nothing is copied to what is mounted read-only: there it stays as short as it is.
    const mayGrow = visit.place.kind !== 'own';
    if (judgement.outcome === 'incomplete') return mayGrow;
    if (judgement.outcome === 'defer') return true;
    if (judgement.outcome !== 'unusable') return false;
    const { code, detail } = judgement;
    if (code === 'medium-stalled') throw new NixmakerError(code, detail);
    if (code === 'medium-unreadable') return !this.#hasFailed(visit, candidate);
    return (code === 'bundle-truncated' && mayGrow) || catalogue[code].exit === exitCodes.deferred;
  }

  /** Somebody’s backup is no bundle, and what is there for other hosts is none of our business: silence. */
  #noteOutcome(visit: Visit, candidate: Candidate, { judgement, host, sequence }: Judged): void {
    const { outcome } = judgement;
    if (outcome === 'other-host') return;
    const told = explain(judgement);
    const isNone = told.code === 'not-a-bundle' || told.code === 'signature-missing';
    if (isNone && candidate.format !== 'pool') return;
    visit.note(candidate, { outcome, host, sequence, ...told });
    if (told.code !== undefined)
      this.#machine.emit({ event: 'passed-over', source: candidate.path, ...told });
  }

  #hasFailed({ failures }: Visit, { path }: Candidate): boolean {
    const count = (failures.get(path) ?? 0) + 1;
    failures.set(path, count);
    return count >= mostFailures;
  }

  #silence(visit: Visit, code: ReasonCode, detail: string): void {
    visit.isSilent = true;
    this.#machine.emit({ event: 'medium-silent', level: 'warn', place: visit.place.root, code, detail });
  }

  /** It is going, or gone, or damaged: said once, and looked at again with the next event. */
  #tellUnreadable(visit: Visit, { code, detail }: NixmakerError): void {
    if (visit.isUnreadable) return;
    visit.isUnreadable = true;
    this.#machine.emit({ event: code, level: 'warn', place: visit.place.root, code, detail });
  }

  async #fingerprintOf(visit: Visit, { format, path }: Candidate): Promise<string | undefined> {
    try {
      const file = format === 'pool' ? join(path, 'manifest.json') : path;
      const { size, mtimeMs, ino } = await this.#access.withDeadline(() => lstat(file));
      return `${visit.place.id}:${ino}:${size}:${mtimeMs}`;
    } catch (error) {
      if (!(error instanceof NixmakerError) || error.code === 'medium-stalled') throw error;
      // Gone, or a manifest that a carrier has yet to bring; or its place on the medium is damaged.
      if (!hasErrno(error.cause, 'ENOENT', 'ENOTDIR')) this.#tellUnreadable(visit, error);
      return undefined;
    }
  }
}

function explain(judgement: Judged['judgement']): { readonly code?: ReasonCode; readonly detail?: string } {
  if (judgement.outcome === 'incomplete')
    return {
      code: 'bundle-truncated',
      detail: `${judgement.present} of ${judgement.expected} bytes are there`,
    };
  return 'code' in judgement ? { code: judgement.code, detail: judgement.detail } : {};
}
