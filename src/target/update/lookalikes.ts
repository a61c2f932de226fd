/**
 * Files that may be bundles, and have not the name of one: found out by name and first bytes, once each. They are told of, and not taken:
 * a name that a person has to put right is one that a person has looked at.
 */
import { lstat } from 'node:fs/promises';
import { type Lookalike, lookalikeOf } from '../../bundle/lookalike.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { Beside, Candidate } from '../../media/inbox.ts';
import type { Access } from './medium-access.ts';

/** Files of each kind that are looked into at one place. Threat: ten thousand photographs, or what is made to look like bundles. */
const mostOfAKind = 100;

const whys: Readonly<Record<Lookalike, string>> = {
  bundle: 'it starts like a bundle, but its name does not end in `.tar` or `.tar.age`',
  encrypted: 'it starts like an encrypted bundle, but its name does not end in `.tar.age`',
  gzip: 'it is a bundle that was compressed again (gzip)',
  zip: 'it is a zip archive that seems to contain a bundle',
};

const byName = 'it is named like a bundle or a keyring, with something added';

interface Known {
  readonly fingerprint: string;
  readonly why: string | undefined;
}

interface Looking {
  /** What reading a file goes through. */
  readonly to: (path: string) => Pick<Access, 'withDeadline'>;
  /** Takes a file that does not answer. */
  readonly onStalled?: (path: string, error: unknown) => void;
}

function thrown(_path: string, error: unknown): never {
  throw error;
}

/** Those of one place. */
export class Lookalikes {
  #known = new Map<string, Known>();
  readonly #listed = { named: new Set<string>(), unknown: new Set<string>() };

  /** Of a listing that begins anew. */
  readonly note: NonNullable<Beside['onOther']> = (path, kind) => {
    const listed = this.#listed[kind];
    if (listed.size < mostOfAKind) listed.add(path);
  };

  /** Of all that were noted since the last time. @throws NixmakerError `medium-stalled`, where nobody takes it */
  async found({ to, onStalled = thrown }: Looking): Promise<Candidate[]> {
    const before = this.#known;
    this.#known = new Map();
    const found: Candidate[] = [];
    for (const kind of ['named', 'unknown'] as const)
      for (const path of this.#listed[kind]) {
        const reading = to(path).withDeadline(() => look(path, kind, before.get(path)));
        const known = await reading.catch(unlessStalled).catch((error: unknown) => onStalled(path, error));
        if (known === undefined) continue;
        this.#known.set(path, known);
        if (known.why !== undefined) found.push({ format: 'bundle', path, misnamed: known.why });
      }
    this.#listed.named.clear();
    this.#listed.unknown.clear();
    return found;
  }
}

/** Smaller than any bundle. */
const leastBytes = 2048;

async function look(
  path: string,
  kind: 'named' | 'unknown',
  before: Known | undefined,
): Promise<Known | undefined> {
  const { ino, size, mtimeMs } = await lstat(path);
  const fingerprint = `${ino}:${size}:${mtimeMs}`;
  if (before?.fingerprint === fingerprint) return before;
  if (kind === 'unknown' && size < leastBytes) return { fingerprint, why: undefined };
  const is = await lookalikeOf(path);
  return { fingerprint, why: is === undefined ? (kind === 'named' ? byName : undefined) : whys[is] };
}

/** What can’t be read, or has gone: of a file that is none by its name that is no news. */
function unlessStalled(error: unknown): undefined {
  if (error instanceof NixmakerError && error.code === 'medium-stalled') throw error;
  if (!(error instanceof NixmakerError) && !(error instanceof Error && 'syscall' in error)) throw error;
}
