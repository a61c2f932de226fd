/** Keyrings that come along with bundles: accepted one after the other, each on the word of the one before. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readSmall } from '../../bundle/file.ts';
import { keyringsOf } from '../../bundle/pool.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { keyringExtension } from '../../core/policy/keyring.ts';
import { peekKeyring, type VerifiedKeyring, verifyKeyring } from '../../signing/keyring.ts';
import { readFloor } from '../../state/floor.ts';
import { storeKeyring } from '../../state/keyring.ts';
import { keyringRequests, serveRequests, writeRequest } from '../../state/requests.ts';
import { timeFloor } from '../machine/floor.ts';
import type { Machine } from '../machine/machine.ts';
import { accessTo } from '../machine/medium-access.ts';
import { withLock } from '../machine/with-lock.ts';
import { listPlaces } from '../media/places.ts';

/** The version that counts now: of the keyring that has come, or of the policy. */
export const keyringVersion = ({ keyring, policy }: Machine): number =>
  Math.max(keyring?.version ?? 0, policy.keyringVersion);

/** With what is trusted now. @throws NixmakerError as `verifyKeyring` */
async function verifyHere(machine: Machine, envelope: string): Promise<VerifiedKeyring> {
  const { policy, floorDirectory } = machine;
  const { floor } = await readFloor(floorDirectory);
  const { now } = timeFloor(machine, floor);
  return verifyKeyring(envelope, { host: policy.host, version: keyringVersion(machine), trust: policy, now });
}

/** Verifies, and keeps it. Root’s work where the privileges are apart. @throws NixmakerError as `verifyKeyring` */
export async function acceptKeyring(machine: Machine, envelope: string): Promise<number> {
  const { keyring, text } = await verifyHere(machine, envelope);
  await storeKeyring(machine.floorDirectory, text);
  await machine.reloadKeyring();
  machine.emit({ event: 'keyring-accepted', level: 'warn', version: keyring.version });
  return keyring.version;
}

/** At a machine, by a person. @throws NixmakerError as `verifyKeyring`, `usage` where root has to do it */
export function acceptByHand(machine: Machine, envelope: string): Promise<number> {
  if (machine.handsOver) throw new NixmakerError('usage', 'only root can accept a keyring');
  return withLock(machine, () => acceptKeyring(machine, envelope));
}

/** Serves the agent’s requests, as root. */
export async function serveKeyrings(machine: Machine): Promise<void> {
  const reject = (name: string, detail: string) =>
    machine.emit({ event: 'request-rejected', level: 'warn', name, detail });
  const serve = async ({ envelope }: { envelope: string }, acknowledge: () => Promise<void>) => {
    await acknowledge();
    await acceptKeyring(machine, envelope).catch((error: unknown) => reject('keyring', describe(error)));
  };
  while ((await serveRequests(machine.settings.runtimeDirectory, keyringRequests, { reject, serve })) > 0);
}

const describe = (error: unknown) =>
  error instanceof NixmakerError ? `${error.code}: ${error.detail}` : String(error);

/** How long root may take to accept one. Milliseconds. */
const patience = 60_000;
const pause = 200;

const mostFiles = 1000;

/**
 * What lies in the inbox, on media and in carriers’ folders. They stay where they are: the same file is for every host,
 * and one that is known costs a look at its version.
 */
export class KeyringQueue {
  readonly #machine: Machine;
  /** What was said of files that were no good, so that it is said once. */
  readonly #refused = new Map<string, string>();
  /** Media that could not be read, until they are gone. */
  readonly #silent = new Set<string>();

  constructor(machine: Machine) {
    this.#machine = machine;
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
    const machine = this.#machine;
    try {
      if (machine.handsOver) await this.#handOver(file);
      else await acceptKeyring(machine, file.text);
    } catch (error) {
      if (!(error instanceof NixmakerError)) throw error;
      this.#refuse(file, error);
    }
  }

  #refuse({ path, text }: KeyringFile, { code, detail }: NixmakerError): void {
    this.#refused.set(text, code);
    this.#machine.emit({ event: 'keyring-refused', level: 'warn', source: path, code, detail });
  }

  /** Verified here first, so that what is wrong is told where it lies. */
  async #handOver(file: KeyringFile): Promise<void> {
    const machine = this.#machine;
    const { settings, clock } = machine;
    await verifyHere(machine, file.text);
    const transaction = machine.randomHex(6);
    const request = { schema: 1, transaction, envelope: file.text } as const;
    await writeRequest(settings.runtimeDirectory, keyringRequests, request);
    const deadline = clock.monotonic() + patience;
    while (keyringVersion(machine) < file.version) {
      if (clock.monotonic() > deadline)
        throw new NixmakerError('busy', 'nixmaker-activate.service has not answered');
      await clock.sleep(pause);
      await machine.reloadKeyring();
    }
    machine.emit({ event: 'keyring-accepted', level: 'warn', version: file.version, source: file.path });
  }

  async #read(isSilent: (id: string) => boolean): Promise<KeyringFile[]> {
    const { settings, policy } = this.#machine;
    const files = policy.sources.inbox ? await this.#readFolder(settings.inbox, passOverAll) : [];
    const places = await listPlaces(this.#machine);
    for (const id of this.#silent) if (!places.some((p) => p.id === id)) this.#silent.delete(id);
    for (const { root, id } of places) {
      if (this.#silent.has(id) || isSilent(id)) continue;
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
  const names = await readdir(folder).catch(() => []);
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
