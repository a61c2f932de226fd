/**
 * Files that may be bundles but do not have the name of one: recognised by name and first bytes, once each. They are reported, and not
 * taken: a name that a person has to correct is a file that a person has looked at.
 */
import { lstat } from 'node:fs/promises';
import { type Lookalike, lookalikeOf } from '../../bundle/lookalike.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { Beside, Candidate } from '../../media/inbox.ts';
import type { Access } from './medium-access.ts';

/** Files of each kind that are opened in one place. Threat: ten thousand photographs, or files made to look like bundles. */
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
  /** What file reads go through. */
  readonly to: (path: string) => Pick<Access, 'withDeadline'>;
  /** Receives a file that does not respond. */
  readonly onStalled?: (path: string, error: unknown) => void;
}

function thrown(_path: string, error: unknown): never {
  throw error;
}

/** Those of one place. */
export class Lookalikes {
  #known = new Map<string, Known>();
  readonly #listed = { named: new Set<string>(), unknown: new Set<string>() };

  /** For a listing that starts over. */
  readonly note: NonNullable<Beside['onOther']> = (path, kind) => {
    const listed = this.#listed[kind];
    if (listed.size < mostOfAKind) listed.add(path);
  };

  /** All those noted since last time. @throws NixmakerError `medium-stalled` if there is no `onStalled` */
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

/** Can’t be read, or is gone: no news for a file that is no bundle by its name. */
function unlessStalled(error: unknown): undefined {
  if (error instanceof NixmakerError && error.code === 'medium-stalled') throw error;
  if (!(error instanceof NixmakerError) && !(error instanceof Error && 'syscall' in error)) throw error;
}
