/** This machine’s status, for the receipt that goes back to the desk. Whatever can’t be determined is left out. */
import { readFile, statfs } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { listFailedUnits } from '../../activation/health.ts';
import { printable } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { sshHostKeyIn } from '../../core/public-keys.ts';
import { manifestSchemaVersion } from '../../core/release/manifest.ts';
import { type ContentsRecord, nothingRead, reportOf } from '../../core/run/damage.ts';
import { type HostReceipt, mostGenerations } from '../../core/run/host-receipt.ts';
import { type StorePath, toBaseName } from '../../core/store-path.ts';
import { listGenerations, readProfile, readSystemLink } from '../../nix/profile.ts';
import { nixVersion } from '../../nix/settings.ts';
import { listClosure, storeFolder } from '../../nix/store.ts';
import { readContentsRecord } from '../../state/contents-record.ts';
import { readFloor } from '../../state/floor.ts';
import { readHeld } from '../machine/held.ts';
import type { Machine } from '../machine/machine.ts';
import { readStaged } from '../machine/staged.ts';
import { readHardware } from './hardware.ts';

type Now = NonNullable<HostReceipt['now']>;

export async function gatherNow(
  machine: Pick<Machine, 'floorDirectory' | 'nix' | 'run' | 'settings' | 'version'>,
): Promise<Now> {
  const { settings, nix, run } = machine;
  const [running, booted, profile, { floor }] = await Promise.all([
    readSystemLink(settings.currentSystem),
    readSystemLink(settings.bootedSystem),
    readProfile(settings.profile),
    readFloor(machine.floorDirectory),
  ]);
  const { held } = await readHeld(machine.floorDirectory, floor);
  const { toplevel, generation } = profile;
  const contents = await readContentsRecord(machine.floorDirectory);
  const failed = settings.activation === 'systemd' ? await listFailedUnits(run) : undefined;
  return given({
    running,
    booted,
    installed: toplevel,
    generation,
    generations: await listGenerations(settings.profile).then(newestNumbers, () => undefined),
    hardware: await readHardware(),
    sshHostKey: await readSshHostKey(settings.sshHostKey),
    floor: floor?.sequence,
    held: held.length === 0 ? undefined : held.map(({ sequence }) => sequence),
    staged: await stagedNow(machine),
    reads: [manifestSchemaVersion],
    versions: await versions(machine),
    failedUnits: failed?.slice(0, 1000),
    space: await space([storeFolder(nix), settings.bootDirectory]),
    damaged: reportOf(contents),
    paths: toplevel === undefined ? undefined : await closurePaths(machine, toplevel, contents),
  });
}

const newestNumbers = (generations: ReadonlyMap<number, unknown>): number[] =>
  [...generations.keys()].sort((a, b) => a - b).slice(-mostGenerations);

/** Undefined if there is none, or it is of another kind. */
const readSshHostKey = async (file: string): Promise<string | undefined> =>
  sshHostKeyIn(await readFile(file, 'utf8').catch(() => ''));

async function stagedNow(machine: Pick<Machine, 'floorDirectory'>): Promise<Now['staged']> {
  const staged = await readStaged(machine);
  if (staged === undefined) return undefined;
  const { sequence, since, record } = staged;
  return given({ sequence, since, code: record?.code, detail: record?.detail.slice(0, 4096) });
}

async function versions({
  nix,
  settings,
  version,
}: Pick<Machine, 'nix' | 'settings' | 'version'>): Promise<Now['versions']> {
  const nixos = await readFile(join(settings.currentSystem, 'nixos-version'), 'utf8').catch(() => undefined);
  const said = await nixVersion(nix).catch(() => undefined);
  return given({
    nixmaker: version,
    nix: said?.slice(0, 128),
    kernel: release(),
    nixos: nixos === undefined ? undefined : printable(nixos.trim()).slice(0, 256),
  });
}

async function space(folders: readonly string[]): Promise<Now['space']> {
  const found: { path: string; freeBytes: number; totalBytes: number }[] = [];
  for (const path of folders) {
    try {
      const { bavail, blocks, bsize } = await statfs(path);
      found.push({ path, freeBytes: bavail * bsize, totalBytes: blocks * bsize });
    } catch {
      // For instance, there is no boot partition.
    }
  }
  return found;
}

const compress = promisify(gzip);

/** What the desk may leave out of the next bundle (`build --since`): what is damaged had better come again. */
export async function closurePaths(
  { nix }: Pick<Machine, 'nix'>,
  toplevel: StorePath,
  { damaged }: Pick<ContentsRecord, 'damaged'> = nothingRead,
): Promise<Now['paths']> {
  try {
    const lost = new Set(damaged.map(({ path }) => path));
    const closure = (await listClosure(nix, toplevel)).filter((path) => !lost.has(path));
    const packed = await compress(Buffer.from(closure.map((p) => `${toBaseName(p)}\n`).join('')));
    return { toplevel, count: closure.length, gzip: packed.toString('base64') };
  } catch {
    // Nix does not answer; the receipt is still worth writing.
    return undefined;
  }
}
