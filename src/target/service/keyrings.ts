/** Keyrings that arrive with bundles: accepted one after the other, each on the word of the one before. */
import { createHash } from 'node:crypto';
import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { readBeginning, readSmall } from '../../bundle/file.ts';
import { keyringsOf } from '../../bundle/pool.ts';
import { ifNowhere } from '../../core/errno.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { isKeyringName, keyringExtension } from '../../core/policy/keyring.ts';
import type { Wait } from '../../core/run/waits.ts';
import { type OpenFolder, withForeign } from '../../files/foreign.ts';
import { claimedVersion, keyringBeginning } from '../../signing/keyring.ts';
import { keyringVersion } from '../machine/keyring.ts';
import type { Machine } from '../machine/machine.ts';
import { listPlaces } from '../machine/places.ts';
import type { Root } from '../machine/root.ts';
import { type Access, accessTo } from '../update/medium-access.ts';
import { Unreadable } from '../update/unreadable.ts';

/** Files looked at in one folder. */
const mostFiles = 1000;
/** Milliseconds spent reading and refusing files before bundles get their turn. */
const mostAccepting = 2000;
/** Files, and complaints, that are remembered; beyond that the oldest are forgotten. */
const mostKnown = 4000;

interface KeyringFile {
  readonly path: string;
  /** As it states itself. */
  readonly version: number;
  readonly unreadable: Unreadable;
}

/** What was seen in a file that has not changed since. */
interface Known {
  readonly fingerprint: string;
  /** Undefined if it is no keyring, or half a copy. */
  readonly version: number | undefined;
}

interface Where {
  /** Whether a place, by its id, has stopped responding. */
  readonly isSilent: (id: string) => boolean;
  /** Threat: a hundred thousand files whose names are all read each time a few of them are looked at. */
  readonly isInboxDue: boolean;
}

const everywhere: Where = { isSilent: () => false, isInboxDue: true };

/**
 * Keyrings in the inbox, on media and in carriers’ folders. They stay where they are: the same file is for every host, and a known one
 * costs a look at its date.
 *
 * Threat: as many keyrings, and as large, as there is room for. Only the version of each is kept, and a digest of each one refused.
 */
export class KeyringQueue {
  readonly #machine: Machine;
  readonly #root: Root;
  readonly #known = new Bounded<Known>(mostKnown);
  /** Files that were no good, by the digest of their contents; reported once, and not asked about again. */
  readonly #refused = new Bounded<true>(mostKnown);
  /** Versions already reported as having missing predecessors. */
  readonly #gaps = new Bounded<true>(mostKnown);
  /** One may have arrived in the inbox. */
  #isHinted = false;
  /** Media that have stopped responding, until they are gone. */
  readonly #silent = new Set<string>();
  /** What can’t be read; each starts over with its own round. */
  readonly #unreadable: { readonly inbox: Unreadable; readonly places: Unreadable };

  constructor(machine: Machine, root: Root) {
    this.#machine = machine;
    this.#root = root;
    this.#unreadable = { inbox: new Unreadable(machine), places: new Unreadable(machine) };
  }

  /** Keyrings, and folders of them, that can’t be read. */
  waits(): Wait[] {
    return [...this.#unreadable.inbox.waits(), ...this.#unreadable.places.waits()];
  }

  /** The inbox is to be looked at, whatever part of a round over it is in progress. */
  hint(): void {
    this.#isHinted = true;
  }

  /** Something may be left: call again. */
  get hasMore(): boolean {
    return this.#isHinted;
  }

  /**
   * Accepts each one that follows, for as long as bundles can wait. Never throws: whatever is wrong with keyrings, bundles get their turn.
   */
  async acceptAll(where: Where = everywhere): Promise<void> {
    try {
      await this.#acceptAll(where);
    } catch (error) {
      this.#machine.emit({ event: 'fault', level: 'error', detail: messageOf(error) });
    }
  }

  async #acceptAll(where: Where): Promise<void> {
    const found = await this.#find(where);
    const until = this.#machine.clock.monotonic() + mostAccepting;
    for (let before = -1; before !== this.#version; ) {
      before = this.#version;
      for (const file of found) {
        if (file.version === this.#version + 1) await this.#accept(file);
        if (this.#machine.clock.monotonic() < until) continue;
        // Threat: as many as there is room for, each costing a signature check. One that was refused is not asked about again.
        this.#isHinted = true;
        return;
      }
    }
    const newest = found.filter((f) => f.version > this.#version + 1).at(-1);
    if (newest === undefined || this.#gaps.has(`${this.#version} ${newest.version}`)) return;
    this.#gaps.set(`${this.#version} ${newest.version}`, true);
    const detail = `it has version ${newest.version}; this machine has ${this.#version}`;
    this.#tell(newest, new NixmakerError('keyring-gap', detail));
  }

  get #version(): number {
    return keyringVersion(this.#machine);
  }

  /** Read again, because none is kept. */
  async #accept({ path: source, unreadable, version }: KeyringFile): Promise<void> {
    const { withDeadline } = this.#accessTo(source, unreadable);
    const reading = withDeadline(() => readSmall(source, limits.keyringBytes).catch(passOver));
    const bytes = await reading.catch(this.#noting(source, unreadable));
    if (bytes === undefined) return;
    const digest = createHash('sha256').update(bytes).digest('hex');
    const known = this.#known.get(source);
    // Not read again while it does not change: its version is no more than a claim.
    const neverAgain = () => {
      if (known !== undefined) this.#known.set(source, { ...known, version: undefined });
    };
    if (this.#refused.has(digest)) return neverAgain();
    try {
      await this.#root.acceptKeyring({ envelope: bytes.toString('utf8'), version, source });
    } catch (error) {
      if (!(error instanceof NixmakerError)) throw error;
      // It may still be arriving.
      if (error.code === 'keyring-malformed') return neverAgain();
      this.#refused.set(digest, true);
      neverAgain();
      this.#tell({ path: source }, error);
    }
  }

  #tell({ path }: Pick<KeyringFile, 'path'>, { code, detail }: NixmakerError): void {
    this.#machine.emit({ event: 'keyring-refused', level: 'warn', source: path, code, detail });
  }

  async #find({ isSilent, isInboxDue }: Where): Promise<KeyringFile[]> {
    const { settings, policy } = this.#machine;
    const isDue = policy.sources.inbox && (isInboxDue || this.#isHinted);
    this.#isHinted = false;
    const { inbox, places: ofPlaces } = this.#unreadable;
    if (isDue) inbox.begin();
    const files = isDue ? ((await this.#look(settings.inbox, inbox)) ?? []) : [];
    const places = await listPlaces(this.#machine);
    ofPlaces.begin();
    for (const id of this.#silent) if (!places.some((p) => p.id === id)) this.#silent.delete(id);
    for (const { root, id, isDangerous } of places) {
      if (isDangerous || this.#silent.has(id) || isSilent(id)) continue;
      try {
        const atRoot = await this.#look(root, ofPlaces);
        if (atRoot === undefined) continue;
        files.push(...atRoot, ...((await this.#look(keyringsOf(root), ofPlaces)) ?? []));
      } catch (error) {
        if (!(error instanceof NixmakerError)) throw error;
        // What is wrong with it is reported where bundles are looked for; here it must not hold up the next one again and again.
        this.#silent.add(id);
      }
    }
    return files.sort((x, y) => x.version - y.version);
  }

  /**
   * What can’t be read in it does not hold back the others. @returns undefined if nothing in it can be @throws NixmakerError
   * `medium-stalled`
   */
  async #look(folder: string, unreadable: Unreadable): Promise<KeyringFile[] | undefined> {
    const { withDeadline } = this.#accessTo(folder, unreadable);
    const files: KeyringFile[] = [];
    const wanted = `${this.#version + 1}${keyringExtension}`;
    const listing = withDeadline(() => namesIn(folder, wanted));
    // Others are reported where bundles are looked for.
    const isPools = folder.endsWith(keyringsOf(''));
    const onFault = isPools ? this.#noting(folder, unreadable) : this.#unlessStalled(unreadable);
    const names = await listing.catch(onFault);
    if (names === undefined) return undefined;
    for (const name of names) {
      const path = join(folder, name);
      const version = await this.#versionOf(path, unreadable).catch(this.#noting(path, unreadable));
      if (version !== undefined && version > this.#version) files.push({ path, version, unreadable });
    }
    return files;
  }

  #noting(path: string, unreadable: Unreadable): (error: unknown) => undefined {
    return (error) => {
      const isStalled = error instanceof NixmakerError && error.code === 'medium-stalled';
      // In the inbox no medium is at fault, and what does not respond is that very file.
      const isOfInbox = unreadable === this.#unreadable.inbox;
      if (!isAnswer(error) || (isStalled && !isOfInbox)) throw error;
      unreadable.note(
        path,
        error instanceof NixmakerError && isOfInbox && !isStalled ? (error.cause ?? error) : error,
      );
    };
  }

  #unlessStalled(unreadable: Unreadable): (error: unknown) => undefined {
    return (error) => {
      if (!isAnswer(error)) throw error;
      const isStalled = error instanceof NixmakerError && error.code === 'medium-stalled';
      if (isStalled && unreadable !== this.#unreadable.inbox) throw error;
    };
  }

  #accessTo(path: string, unreadable: Unreadable): Access {
    return accessTo(this.#machine, {
      path,
      ...(unreadable === this.#unreadable.inbox ? {} : { onMedium: true }),
    });
  }

  async #versionOf(path: string, unreadable: Unreadable): Promise<number | undefined> {
    const { withDeadline } = this.#accessTo(path, unreadable);
    const fingerprint = await withDeadline(() => fingerprintOf(path));
    if (fingerprint === undefined) return undefined;
    const known = this.#known.get(path);
    if (known?.fingerprint === fingerprint) return known.version;
    const wanted = { bytes: keyringBeginning, most: limits.keyringBytes };
    const bytes = await withDeadline(() => readBeginning(path, wanted).catch(passOver));
    const version = bytes && claimedVersion(bytes.toString('latin1'));
    this.#known.set(path, { fingerprint, version });
    return version;
  }
}

/** A map that forgets its oldest entries. */
class Bounded<T> {
  readonly #most: number;
  readonly #entries = new Map<string, T>();

  constructor(most: number) {
    this.#most = most;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  get(key: string): T | undefined {
    return this.#entries.get(key);
  }

  set(key: string, value: T): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > this.#most && oldest !== undefined) this.#entries.delete(oldest);
  }
}

/** The system’s fault, or that of what was read: not ours. */
const isAnswer = (error: unknown): error is Error =>
  error instanceof NixmakerError || (error instanceof Error && 'syscall' in error);

/** A link, a pipe, or a file that is too large is no keyring. */
function passOver(error: unknown): undefined {
  if (error instanceof NixmakerError && ['not-a-bundle', 'bundle-malformed'].includes(error.code)) return;
  throw error;
}

/** The one that would come next goes first; there may be as many others as there is room for. */
async function namesIn(folder: string, wanted: string): Promise<string[]> {
  const names: string[] = [];
  const list = async ({ path }: OpenFolder) => {
    for await (const { name } of await opendir(path, { bufferSize: 1024 })) {
      if (!isKeyringName(name) || name.startsWith('.')) continue;
      if (name === wanted) names.unshift(name);
      else if (names.length < mostFiles) names.push(name);
    }
  };
  await withForeign(folder, list).catch(ifNowhere(undefined));
  return names;
}

/** Undefined if it is gone. */
async function fingerprintOf(path: string): Promise<string | undefined> {
  const found = await lstat(path).catch(ifNowhere(undefined));
  return found && `${found.ino}:${found.size}:${found.mtimeMs}:${found.ctimeMs}`;
}
