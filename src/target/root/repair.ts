/**
 * Puts whole contents in the place of damaged ones. The whole ones are in the store already, under another name (nix/contents.ts,
 * `standInOf`): whoever brought them there, an ordinary client of Nix, was told by Nix whether they are what the name says. Root reads them
 * again, so nobody’s word counts, and only exchanges the two: the path is there at each moment, and a power cut leaves the one or the other.
 *
 * Threat: a compromised agent. It can name no path and no contents. What is damaged is in root’s own record, what it must become in Nix’s
 * database, and what is put there has that hash.
 */
import { complaintOf, exitText } from '../../core/complaint.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { type ContentsRecord, type DamagedPath, isReplaceable } from '../../core/run/damage.ts';
import { type StorePath, storeDir } from '../../core/store-path.ts';
import { listMounts } from '../../media/mounts.ts';
import { readContents, standInOf } from '../../nix/contents.ts';
import { dropDamagedLinks } from '../../nix/links.ts';
import { replacePath } from '../../nix/replace-path.ts';
import { deletePaths, isValid, storeFolder, syncStore } from '../../nix/store.ts';
import { queryValidInfos } from '../../nix/valid-info.ts';
import { readContentsRecord, writeContentsRecord } from '../../state/contents-record.ts';
import { acquireRepairLock } from '../../state/lock.ts';
import type { RootMachine } from '../machine/machine.ts';

type Repairer = Pick<RootMachine, 'emit' | 'floorDirectory' | 'hold' | 'nix' | 'run'>;

/**
 * Replaces what it can. Other writers of the record come and go: what it says is looked at again before anything is changed. Threat: a person
 * repairs from the stick that the agent has just begun to repair from, and the second exchange puts the damage back.
 */
export async function repairDamaged(machine: Repairer): Promise<void> {
  const onWait = () =>
    machine.emit({ event: 'notice', text: 'another repair is at work on this machine; waiting for it' });
  const lock = await acquireRepairLock(machine.hold, machine.floorDirectory, onWait);
  try {
    await repairAlone(machine);
  } finally {
    await lock.release();
  }
}

async function repairAlone(machine: Repairer): Promise<void> {
  const { damaged } = await readContentsRecord(machine.floorDirectory);
  const wanted = damaged.filter(isReplaceable);
  const ready: Replacement[] = [];
  const sound = new Set<StorePath>();
  for (const known of wanted) {
    const found = await lookAt(machine, known);
    if (found === 'sound') sound.add(known.path);
    else if (found !== undefined) ready.push(found);
  }
  // What is exchanged must be on disk first: a power cut would leave the path whole in name only.
  if (ready.length > 0) await syncStore(machine.nix);
  for (const replacement of ready) if (await replace(machine, replacement)) sound.add(replacement.path);
  if (ready.length > 0) await syncStore(machine.nix);
  if (sound.size > 0) await forget(machine, sound);
}

interface Replacement {
  readonly path: StorePath;
  readonly by: StorePath;
  readonly narHash: string;
}

/** @returns undefined if there is nothing to replace it by */
async function lookAt(machine: Repairer, known: DamagedPath): Promise<Replacement | 'sound' | undefined> {
  const { nix } = machine;
  const { path } = known;
  const stored = (await queryValidInfos(nix, [path])).get(path);
  // What its contents should be has changed since they were read.
  if (stored === undefined || stored.narHash !== known.narHash) return undefined;
  const { path: by, narHash } = standInOf(stored);
  const folder = storeFolder(nix);
  const hasContents = async (of: StorePath) => {
    const found = await readContents(folder, of);
    return found.kind === 'read' && found.narHash === narHash;
  };
  const isSound = await hasContents(path);
  if (!(await isValid(nix, by))) return isSound ? 'sound' : undefined;
  if (!isSound && (await hasContents(by))) return { path, by, narHash };
  // Left by an exchange that was cut off behind it, or linked to the same damage.
  if (!isSound) {
    const links = await dropDamagedLinks(folder, by);
    machine.emit({ event: 'replacement-damaged', level: 'warn', path, links });
  }
  await discard(machine, by);
  return isSound ? 'sound' : undefined;
}

async function replace(machine: Repairer, { path, by, narHash }: Replacement): Promise<boolean> {
  const { nix } = machine;
  try {
    await replacePath(nix, { path, by });
  } catch (error) {
    machine.emit({ event: 'repair-failed', level: 'error', path, detail: messageOf(error) });
    return false;
  }
  const now = await readContents(storeFolder(nix), path);
  const isSound = now.kind === 'read' && now.narHash === narHash;
  const detail = isSound ? {} : { detail: 'it is still damaged: the disk may be failing' };
  machine.emit({ event: isSound ? 'path-repaired' : 'repair-failed', level: 'warn', path, ...detail });
  return isSound;
}

/** If somebody still holds it, a collection takes it later: nothing needs it. */
async function discard({ nix, emit }: Repairer, path: StorePath): Promise<void> {
  await deletePaths(nix, [path]).catch((error: unknown) =>
    emit({ event: 'replacement-left', level: 'warn', path, detail: messageOf(error) }),
  );
}

async function forget({ floorDirectory }: Repairer, sound: ReadonlySet<StorePath>): Promise<void> {
  const record = await readContentsRecord(floorDirectory);
  const damaged = record.damaged.filter(({ path }) => !sound.has(path));
  await writeContentsRecord(floorDirectory, { ...record, damaged });
}

/** NixOS mounts the store read-only, for everybody but the Nix daemon, which has a mount namespace of its own. */
async function isReadOnly({ run, nix }: Pick<RootMachine, 'run' | 'nix'>): Promise<boolean> {
  const mount = (await listMounts(run)).findLast(({ target }) => target === storeFolder(nix));
  return mount?.readOnly === true;
}

/**
 * Before `repairDamaged` in a process whose mount namespace is its own (nixmaker-repair.service, or below `unshare --mount`): as the daemon
 * does it (Nix src/libstore/local-store.cc, makeStoreWritable).
 */
export async function makeStoreWritable(machine: Pick<RootMachine, 'run' | 'nix'>): Promise<void> {
  if (!(await isReadOnly(machine))) return;
  const result = await machine.run('mount', ['--options', 'remount,bind,rw', storeDir]);
  if (result.exitCode !== 0)
    throw new NixmakerError(
      'io-error',
      `cannot write to the store: ${complaintOf(result, exitText(result.exitCode))}`,
    );
}

/** For a process that shares its mounts with others: where the store is read-only, the work is done by one that does not. */
export async function repairHere(machine: RootMachine): Promise<ContentsRecord> {
  const { run, files, floorDirectory } = machine;
  if (!(await isReadOnly(machine))) await repairDamaged(machine);
  else {
    const option = (name: string, value: string | undefined) => (value === undefined ? [] : [name, value]);
    const [, program = ''] = process.argv;
    const result = await run('unshare', [
      ...['--mount', '--propagation', 'private', process.execPath, program, 'repair-store', '--now'],
      ...[...option('--settings', files.settings), ...option('--policy', files.policy)],
    ]);
    if (result.exitCode !== 0)
      throw new NixmakerError(
        'io-error',
        `cannot repair the store: ${complaintOf(result, exitText(result.exitCode))}`,
      );
  }
  return readContentsRecord(floorDirectory);
}
