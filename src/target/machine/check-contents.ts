/**
 * Reads the contents of this machine’s systems and compares them with what Nix’s database says and with what was signed. It only reads, and
 * goes on where it stopped: a system may have a hundred thousand files, and nothing else is to wait for the disk.
 *
 * That a row of the database is sound itself is seen by a signature over it, root’s own (store key) or a trusted key’s, or by the path’s
 * name; or by a verified index at hand. That guards against decay, not against a person: who may change what (valid-paths.ts).
 */
import {
  type ContentsRecord,
  type DamagedPath,
  judgeContents,
  mostDamaged,
  nothingRead,
} from '../../core/run/damage.ts';
import type { StorePath } from '../../core/store-path.ts';
import { isNamedAfter, readContents } from '../../nix/contents.ts';
import { storeFolder } from '../../nix/store.ts';
import { type Closures, queryClosures, type SignatureFilter, type ValidInfo } from '../../nix/valid-info.ts';
import { type PublicKey, parsePublicKey } from '../../signing/nix-key.ts';
import { isPathSigned } from '../../signing/path-signature.ts';
import { looksLikeSshKey } from '../../signing/ssh-key.ts';
import type { Machine } from './machine.ts';
import { readStorePublicKey } from './store-public-key.ts';
import { systemsInUse } from './systems.ts';

type Source = Pick<Machine, 'clock' | 'floorDirectory' | 'nix' | 'policy' | 'settings'>;

/** NAR hashes by path, from verified indexes. */
export type SignedHashes = ReadonlyMap<StorePath, readonly string[]>;

export const noneAtHand: SignedHashes = new Map();

export interface CheckOptions {
  readonly signed?: SignedHashes;
  /** Milliseconds; then it stops, and can be taken up again. It always gets on by one path. */
  readonly time?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: CheckProgress) => void;
}

export interface CheckProgress {
  readonly paths: number;
  readonly ofPaths: number;
  readonly bytes: number;
  readonly ofBytes: number;
}

/**
 * Reads on behind what the record says, until all has been read, or time is up, or the signal comes.
 * @returns the new record; there is no `after` in it once all has been read
 */
export async function checkContents(
  machine: Source,
  before: ContentsRecord,
  { signed = noneAtHand, time = Number.POSITIVE_INFINITY, signal, onProgress }: CheckOptions = {},
): Promise<ContentsRecord> {
  const { clock, nix } = machine;
  const judge = await judgeOf(machine, signed);
  const closures = await queryClosures(nix, await systemsInUse(machine), judge.wanted);
  const all = [...closures.infos].sort(([a], [b]) => (a < b ? -1 : 1));
  const { after = '' } = before;
  const start = all.filter(([path]) => path <= after).length;
  const pass = new Pass(before, closures, { began: clock.now().toISOString(), isResumed: start > 0 });
  const sizeOf = (some: typeof all) => some.reduce((sum, [, { narSize }]) => sum + narSize, 0);
  const ofBytes = sizeOf(all);
  const until = clock.monotonic() + time;
  let bytes = sizeOf(all.slice(0, start));
  for (let i = start; i < all.length; i++) {
    const [path, stored] = all[i] as (typeof all)[number];
    const looked = signal?.aborted === true ? undefined : await judge.look(path, stored, signal);
    const isTimeUp = i > start && clock.monotonic() >= until;
    if (looked === undefined) return i === start ? before : pass.soFar(all[i - 1]?.[0] as StorePath);
    pass.note(looked);
    bytes += stored.narSize;
    onProgress?.({ paths: i + 1, ofPaths: all.length, bytes, ofBytes });
    if (isTimeUp && i + 1 < all.length) return pass.soFar(path);
  }
  return pass.end(all.length, clock.now().toISOString());
}

interface Looked {
  readonly path: StorePath;
  readonly damaged: DamagedPath | undefined;
  readonly isSigned: boolean;
}

/** What is known so far of the present pass. */
class Pass {
  readonly #before: ContentsRecord;
  readonly #closures: Closures;
  readonly #began: string;
  readonly #damaged = new Map<StorePath, DamagedPath>();
  #unsigned: number;

  constructor(
    before: ContentsRecord,
    closures: Closures,
    { began, isResumed }: { readonly began: string; readonly isResumed: boolean },
  ) {
    this.#before = before;
    this.#closures = closures;
    this.#began = isResumed ? (before.began ?? began) : began;
    this.#unsigned = isResumed ? before.unsigned : 0;
    // What was damaged stays so until it has been read again, or nothing needs it any more.
    for (const known of before.damaged)
      if (closures.infos.has(known.path)) this.#damaged.set(known.path, known);
    for (const path of closures.invalid) this.#damaged.set(path, { path, what: 'unregistered', narSize: 0 });
  }

  note({ path, damaged, isSigned }: Looked): void {
    if (!isSigned) this.#unsigned += 1;
    if (damaged === undefined) this.#damaged.delete(path);
    else this.#damaged.set(path, damaged);
  }

  soFar(after: StorePath): ContentsRecord {
    const { finished, paths } = this.#before;
    return {
      ...this.#found(),
      ...(finished === undefined ? {} : { finished }),
      began: this.#began,
      after,
      paths,
    };
  }

  end(paths: number, at: string): ContentsRecord {
    return { ...this.#found(), finished: at, paths: paths + this.#closures.invalid.size };
  }

  #found() {
    const all = [...this.#damaged.values()];
    const damaged = all.slice(0, mostDamaged);
    return { ...nothingRead, unsigned: this.#unsigned, damaged, more: all.length - damaged.length };
  }
}

interface Judge {
  readonly wanted: SignatureFilter;
  /** Undefined if the signal came before it was read. */
  readonly look: (path: StorePath, stored: ValidInfo, signal?: AbortSignal) => Promise<Looked | undefined>;
}

/** Judges single paths, by what is signed. */
async function judgeOf(
  machine: Pick<Source, 'floorDirectory' | 'nix' | 'policy'>,
  signed: SignedHashes,
): Promise<Judge> {
  const keys = await keysOf(machine);
  const folder = storeFolder(machine.nix);
  return {
    wanted: () => (signature) => keys.some(({ name }) => signature.startsWith(`${name}:`)),
    look: async (path, stored, signal) => {
      const onDisk = await readContents(folder, path, signal);
      if (onDisk === undefined) return undefined;
      const isStoredSigned = isNamedAfter(path, stored) || keys.some((key) => isSigned(path, stored, key));
      const hashes = signed.get(path) ?? [];
      const what = judgeContents({ onDisk, stored, isStoredSigned, signed: hashes });
      const { narHash, narSize } = stored;
      const detail = onDisk.kind === 'unreadable' ? { detail: onDisk.detail } : {};
      const damaged = what === undefined ? undefined : { path, what, narHash, narSize, ...detail };
      return { path, damaged, isSigned: isStoredSigned || hashes.length > 0 };
    },
  };
}

const isSigned = (path: StorePath, info: ValidInfo, key: PublicKey): boolean =>
  isPathSigned({ ...info, path, references: info.references as StorePath[] }, key, info.signatures);

/** The machine’s store key and the policy’s own Nix keys; people’s SSH keys sign no paths. */
async function keysOf(machine: Pick<Source, 'floorDirectory' | 'policy'>): Promise<PublicKey[]> {
  const own = await readStorePublicKey(machine);
  const trusted = machine.policy.trustedKeys.filter(
    ({ key }) => !looksLikeSshKey(key.replace(/^[^:]*:/, '')),
  );
  return [...(own === undefined ? [] : [own]), ...trusted.map(({ key }) => parsePublicKey(key))];
}
