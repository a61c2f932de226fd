/**
 * Bundles that we do not move: on media, and in carriers’ folders. They are read in place. Of all those that this machine would accept, the
 * one with the highest sequence is taken; those not meant for it are skipped in silence. When nothing is left to do at a place, its visit
 * is over (visit.ts).
 */
import { lstat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { hasErrno } from '../../core/errno.ts';
import { messageOf, NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import type { Wait } from '../../core/run/waits.ts';
import type { Candidate } from '../../media/inbox.ts';
import type { Machine } from '../machine/machine.ts';
import { listPlaces, type Place } from '../machine/places.ts';
import type { InHand } from '../update/in-hand.ts';
import { type Access, accessTo, stalledReadsEnded } from '../update/medium-access.ts';
import { listCandidates } from './candidates.ts';
import { type Judged, judgeCandidate, whyOf } from './judge.ts';
import { endVisits, type FinishedVisit, isForLater, type Told, Visit } from './visit.ts';

export interface Found {
  readonly place: Place;
  readonly candidate: Candidate;
  readonly fingerprint: string;
  readonly sequence: number;
  /** Why it is set aside instead of taken. */
  readonly why?: string;
}

/** Milliseconds. When to look again at something that no event will announce (a copy in progress, Nix down). */
const retry = 30_000;

interface Looked {
  readonly candidate: Candidate;
  readonly fingerprint: string;
  readonly judged: Judged;
}

type Looking = Pick<InHand, 'looking' | 'whySetAside'>;

export class MediaQueue {
  readonly #machine: Machine;
  readonly #inHand: Looking;
  readonly #visits = new Map<string, Visit>();
  /** Called when a place responds again. */
  readonly #onAnswer: () => void;

  constructor(machine: Machine, inHand: Looking, onAnswer: () => void = () => undefined) {
    this.#machine = machine;
    this.#inHand = inHand;
    this.#onAnswer = onAnswer;
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

  #accessTo({ place }: Visit): Access {
    return accessTo(this.#machine, { onMedium: true, path: place.root });
  }

  #begin(place: Place): Visit {
    const visit = new Visit(place, this.#machine);
    this.#visits.set(place.id, visit);
    if (place.isDangerous) {
      const because =
        'its superblock requests a kernel panic on errors, and it was mounted without errors=remount-ro';
      visit.silence('medium-unreadable', `left alone: ${because}`);
      this.#machine.emit({ event: 'medium-left-alone', level: 'warn', place: place.root, because });
    }
    return visit;
  }

  /** Whether the place has stopped responding: nobody should read there, because a read that never ends ties up a thread. */
  isSilent(id: string): boolean {
    return this.#visits.get(id)?.isSilent === true;
  }

  /** Places at which nothing is left to do; each is reported once, until something new is there. */
  finished(): FinishedVisit[] {
    return endVisits([...this.#visits.values()]);
  }

  /** What was staged was lost: where it still lies, it is taken once more. Nobody would bring to a folder what is there already. */
  retryStaged(): void {
    for (const visit of this.#visits.values()) visit.retryStaged();
  }

  /** Not looked at again while its medium stays and it does not change. */
  markDone({ place, candidate, fingerprint, ...found }: Found, outcome: string, told: Told = {}): void {
    const visit = this.#visits.get(place.id);
    visit?.done.set(candidate.path, fingerprint);
    visit?.later.delete(candidate.path);
    // Nobody has looked at whom a file that was set aside is for.
    const known =
      found.why === undefined ? { host: this.#machine.policy.host, sequence: found.sequence } : {};
    visit?.note(candidate, given({ ...known, outcome, ...told }));
  }

  /** One of several media has given what it can for now. @param isProgress others that could give nothing before may be able to now */
  partDone(found: Found, { detail, isProgress }: Told & { readonly isProgress: boolean }): void {
    if (isProgress) for (const visit of this.#visits.values()) visit.retryParts();
    this.markDone(found, 'deferred', { code: 'parts-missing', detail });
    this.#visits.get(found.place.id)?.parts.add(found.candidate.path);
  }

  /** Looked at again after a while, longer each time. */
  defer(
    { place, candidate, ...found }: Found,
    error: { code: ReasonCode; detail?: string | undefined },
  ): void {
    const visit = this.#visits.get(place.id);
    if (visit === undefined) return;
    const { code, detail } = error;
    if (code === 'medium-stalled') this.#silence(visit, error);
    else if (code === 'medium-unreadable' && visit.hasFailed(candidate))
      this.markDone({ place, candidate, ...found }, 'unreadable', { code });
    else visit.later.backOff({ ...found, path: candidate.path }, { code, detail, isOurs: true });
  }

  /** What it waits for, as already reported and recorded; undefined if it is new. */
  knownWait({ place, candidate: { path }, fingerprint }: Found): ReasonCode | undefined {
    return this.#visits.get(place.id)?.later.whyOf({ path, fingerprint });
  }

  /** Everything that waits there, and what can’t be read. */
  waits(): Wait[] {
    return [...this.#visits.values()].flatMap((visit) => visit.waits());
  }

  /** Whether something that may be for this machine waits, or can’t be read. Each has been told. */
  get isWaiting(): boolean {
    return [...this.#visits.values()].some((v) => v.isWaiting);
  }

  /** Milliseconds until something deferred is due. */
  due(): number | undefined {
    const times = [...this.#visits.values()].flatMap((v) => (v.isSilent ? [] : (v.later.soonest() ?? [])));
    return times.length === 0 ? undefined : Math.min(...times);
  }

  async #look(visit: Visit): Promise<Found[]> {
    try {
      const found: Found[] = [];
      for (const candidate of await this.#list(visit))
        found.push(...(await this.#judgeOne(visit, candidate)));
      return found;
    } catch (error) {
      if (!(error instanceof NixmakerError)) throw error;
      if (error.code === 'medium-stalled') this.#silence(visit, error);
      else if (error.code === 'medium-unreadable') visit.noteUnreadable(visit.place.root, error);
      else throw error;
      // What is due there was not looked at; don’t ask for it again at once.
      visit.later.putOff(retry);
      return [];
    }
  }

  async #list(visit: Visit): Promise<readonly Candidate[]> {
    const { place, lookalikes } = visit;
    const { withDeadline } = this.#accessTo(visit);
    visit.unreadable.begin();
    const onFault = (path: string, error: NixmakerError) => visit.noteUnreadable(path, error);
    const looking = { withDeadline, lookalikes, onFault };
    const { candidates, hasPool } = await listCandidates(place.root, this.#machine.policy.host, looking);
    visit.keepOnly(new Set(candidates.map((c) => c.path)));
    visit.isOurs ||= hasPool;
    return candidates;
  }

  /** Whatever is wrong with one candidate does not hold up the others. */
  async #judgeOne(visit: Visit, candidate: Candidate): Promise<Found[]> {
    const { path } = candidate;
    const fingerprint = await this.#fingerprintOf(visit, candidate);
    if (fingerprint === undefined) return [];
    try {
      return await this.#judge(visit, candidate, fingerprint);
    } catch (error) {
      if (error instanceof NixmakerError && error.code === 'medium-stalled') throw error;
      if (error instanceof NixmakerError && error.code === 'medium-unreadable')
        visit.noteUnreadable(path, error);
      else this.#machine.emit({ event: 'fault', level: 'error', source: path, detail: messageOf(error) });
      const why = { code: 'internal', detail: messageOf(error), isOurs: false } as const;
      visit.later.backOff({ path, fingerprint }, why, retry);
      return [];
    }
  }

  async #judge(visit: Visit, candidate: Candidate, fingerprint: string): Promise<Found[]> {
    const { path } = candidate;
    if (visit.done.get(path) === fingerprint) return [];
    if (visit.later.left({ path, fingerprint }) > 0) return [];
    const why = await this.#inHand.whySetAside(candidate);
    // Behind all the good ones.
    if (why !== undefined) return [{ place: visit.place, candidate, fingerprint, sequence: 0, why }];
    const judged = await this.#inHand.looking(candidate, () => judgeCandidate(this.#machine, candidate));
    const { judgement, sequence = 0 } = judged;
    if (candidate.misnamed !== undefined) this.#noteMisnamed(visit, { candidate, fingerprint, judged });
    else if (judgement.outcome === 'accept' || judgement.outcome === 'stage')
      return [{ place: visit.place, candidate, fingerprint, sequence }];
    else if (isForLater(visit, candidate, judged)) this.#postpone(visit, { candidate, fingerprint, judged });
    else {
      visit.done.set(path, fingerprint);
      visit.later.delete(path);
      this.#noteOutcome(visit, candidate, judged);
    }
    return [];
  }

  /** What does not change is looked at less and less often: half a copy, or a bundle the machine is not ready for. */
  #postpone(visit: Visit, { candidate, fingerprint, judged: { judgement } }: Looked): void {
    const file = { path: candidate.path, fingerprint };
    const { code = 'interrupted', detail } = whyOf(judgement);
    // Nobody knows whether a file too short to tell will ever be a bundle.
    const isOurs = judgement.outcome !== 'unusable' || candidate.format === 'pool';
    const said = code === 'bundle-truncated' ? 'incomplete' : code;
    // Told once, as the same bundle in the inbox would be.
    if (isOurs && visit.later.whyOf(file) !== said)
      this.#machine.emit(given({ event: 'waiting', source: candidate.path, code: said, detail }));
    visit.later.backOff(file, { code: said, detail, isOurs }, retry);
  }

  /** Never taken; reported once, unless it is for others. If a copy may be in progress, it may yet get its proper name. */
  #noteMisnamed(visit: Visit, { candidate, fingerprint, judged }: Looked): void {
    const { path, misnamed: detail } = candidate;
    const file = { path, fingerprint };
    const { outcome } = judged.judgement;
    const isNew = visit.place.kind !== 'own' && visit.later.whyOf(file) !== 'misnamed';
    if (isNew) {
      visit.later.postpone(file, { code: 'misnamed', detail, isOurs: false }, retry);
      return;
    }
    visit.later.delete(path);
    visit.done.set(path, fingerprint);
    if (outcome === 'other-host' || outcome.startsWith('already-')) return;
    const { host, sequence } = judged;
    visit.note(candidate, given({ outcome: 'unusable', host, sequence, code: 'misnamed', detail }));
    visit.hasMisnamed = true;
    // `web (1).tar.zip`: if the file is for this host, so is the medium.
    const own = this.#machine.policy.host.toLowerCase();
    visit.isOurs ||= candidate.isForHost === true;
    visit.isOurs ||= new RegExp(`^${own}(?![a-z0-9])`).test(basename(path).toLowerCase());
    this.#machine.emit({ event: 'passed-over', level: 'warn', source: path, code: 'misnamed', detail });
  }

  /** Somebody’s backup is no bundle, and what is there for other hosts is none of our business: silence. */
  #noteOutcome(visit: Visit, candidate: Candidate, { judgement, host, sequence }: Judged): void {
    const { outcome } = judgement;
    if (outcome === 'other-host') return;
    const told = whyOf(judgement);
    const isNone = told.code === 'not-a-bundle' || told.code === 'signature-missing';
    if (isNone && candidate.format !== 'pool') return;
    visit.note(candidate, { outcome, host, sequence, ...told });
    if (told.code !== undefined)
      this.#machine.emit({ event: 'passed-over', source: candidate.path, ...told });
  }

  /** A carrier’s folder does not go away: it is looked at again once the read that stalled has ended. */
  #silence(visit: Visit, error: { readonly code: ReasonCode; readonly detail?: string | undefined }): void {
    const { code, detail } = error;
    visit.silence(code, detail);
    this.#machine.emit({ event: 'medium-silent', level: 'warn', place: visit.place.root, code, detail });
    if (visit.place.kind !== 'folder') return;
    void stalledReadsEnded(visit.place.root).then(() => {
      visit.silent = undefined;
      this.#onAnswer();
    });
  }

  async #fingerprintOf(visit: Visit, { format, path }: Candidate): Promise<string | undefined> {
    try {
      const file = format === 'pool' ? join(path, 'manifest.json') : path;
      const { size, mtimeMs, ino } = await this.#accessTo(visit).withDeadline(() => lstat(file));
      return `${visit.place.id}:${ino}:${size}:${mtimeMs}`;
    } catch (error) {
      if (!(error instanceof NixmakerError) || error.code === 'medium-stalled') throw error;
      // Gone, or a manifest that a carrier has yet to bring; or its place on the medium is damaged.
      if (!hasErrno(error.cause, 'ENOENT', 'ENOTDIR'))
        visit.noteUnreadable(hasErrno(error.cause, 'EACCES') ? dirname(path) : path, error);
      return undefined;
    }
  }
}
