/** Keyrings that come along with bundles: accepted one after the other, each on the word of the one before. */
import { join } from 'node:path';
import { readSmall } from '../../bundle/file.ts';
import { keyringsOf } from '../../bundle/pool.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { keyringExtension } from '../../core/policy/keyring.ts';
import { namesInForeign, withForeign } from '../../files/foreign.ts';
import { peekKeyring } from '../../signing/keyring.ts';
import { keyringVersion } from '../machine/keyring.ts';
import type { Machine } from '../machine/machine.ts';
import { listPlaces } from '../machine/places.ts';
import type { Root } from '../machine/root.ts';
import { accessTo } from '../update/medium-access.ts';

const mostFiles = 1000;
const mostNames = 1_000_000;

/**
 * What lies in the inbox, on media and in carriers’ folders. They stay where they are: the same file is for every host,
 * and one that is known costs a look at its version.
 */
export class KeyringQueue {
  readonly #machine: Machine;
  readonly #root: Root;
  /** What was said of files that were no good, so that it is said once. */
  readonly #refused = new Map<string, string>();
  /** Media that could not be read, until they are gone. */
  readonly #silent = new Set<string>();

  constructor(machine: Machine, root: Root) {
    this.#machine = machine;
    this.#root = root;
  }

  /**
   * Accepts all that follow on each other. Never throws: whatever is wrong with keyrings, bundles get their turn.
   * @param isSilent whether a place, by its id, has stopped to answer
   */
  async acceptAll(isSilent: (id: string) => boolean = () => false): Promise<void> {
    try {
      await this.#acceptAll(isSilent);
    } catch (error) {
      this.#machine.emit({ event: 'fault', level: 'error', detail: messageOf(error) });
    }
  }

  async #acceptAll(isSilent: (id: string) => boolean): Promise<void> {
    const found = await this.#read(isSilent);
    for (;;) {
      const next = found.find(
        (f) => f.version === keyringVersion(this.#machine) + 1 && !this.#refused.has(f.text),
      );
      if (next === undefined) break;
      await this.#accept(next);
    }
    const newest = found.filter((f) => f.version > keyringVersion(this.#machine) + 1).at(-1);
    if (newest !== undefined && !this.#refused.has(newest.text))
      this.#refuse(
        newest,
        new NixmakerError(
          'keyring-gap',
          `it has version ${newest.version}, this machine has ${keyringVersion(this.#machine)}`,
        ),
      );
  }

  async #accept(file: KeyringFile): Promise<void> {
    const { path: source, text: envelope, version } = file;
    try {
      await this.#root.acceptKeyring({ envelope, version, source });
    } catch (error) {
      if (!(error instanceof NixmakerError)) throw error;
      this.#refuse(file, error);
    }
  }

  #refuse({ path, text }: KeyringFile, { code, detail }: NixmakerError): void {
    this.#refused.set(text, code);
    this.#machine.emit({ event: 'keyring-refused', level: 'warn', source: path, code, detail });
  }

  async #read(isSilent: (id: string) => boolean): Promise<KeyringFile[]> {
    const { settings, policy } = this.#machine;
    const files = policy.sources.inbox ? await this.#readFolder(settings.inbox, passOverAll) : [];
    const places = await listPlaces(this.#machine);
    for (const id of this.#silent) if (!places.some((p) => p.id === id)) this.#silent.delete(id);
    for (const { root, id, isDangerous } of places) {
      if (isDangerous || this.#silent.has(id) || isSilent(id)) continue;
      try {
        for (const folder of [root, keyringsOf(root)])
          files.push(...(await this.#readFolder(folder, passOver)));
      } catch (error) {
        if (!(error instanceof NixmakerError)) throw error;
        // What is wrong with it is told where bundles are looked for; here it must not hold up the next again and again.
        this.#silent.add(id);
      }
    }
    return files.sort((x, y) => x.version - y.version);
  }

  /** @throws NixmakerError `medium-stalled`, `medium-unreadable` */
  async #readFolder(folder: string, onError: (error: unknown) => undefined): Promise<KeyringFile[]> {
    const { withDeadline } = accessTo(this.#machine, { onMedium: true });
    const files: KeyringFile[] = [];
    for (const name of await withDeadline(() => namesIn(folder))) {
      const path = join(folder, name);
      const bytes = await withDeadline(() => readSmall(path, limits.keyringBytes).catch(onError));
      files.push(...versionOf(path, bytes?.toString('utf8')));
    }
    return files;
  }
}

/** Others may write to the inbox: what can’t be read there is nothing to wait for. */
function passOverAll(error: unknown): undefined {
  if (!(error instanceof NixmakerError)) throw error;
}

/** A link, a pipe, or a file that is too large is no keyring. */
function passOver(error: unknown): undefined {
  if (error instanceof NixmakerError && ['not-a-bundle', 'bundle-malformed'].includes(error.code)) return;
  throw error;
}

interface KeyringFile {
  readonly path: string;
  readonly text: string;
  /** As it says itself. */
  readonly version: number;
}

async function namesIn(folder: string): Promise<string[]> {
  const listing = withForeign(folder, (open) => namesInForeign(open, mostNames));
  const names = await listing.catch(() => []);
  return names.filter((name) => name.endsWith(keyringExtension) && !name.startsWith('.')).slice(0, mostFiles);
}

/** Half a copy, and what is no keyring, is nothing yet. */
function versionOf(path: string, text: string | undefined): KeyringFile[] {
  if (text === undefined) return [];
  try {
    return [{ path, text, version: peekKeyring(text).keyring.version }];
  } catch {
    return [];
  }
}
