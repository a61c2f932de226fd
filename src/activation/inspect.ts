/** What the files of a NixOS system tell about switching to it and booting it. Reads only. */
import { readdir, readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { ifNowhere } from '../core/errno.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { parseStorePath, type StorePath } from '../core/store-path.ts';
import * as z from '../core/zod.ts';

const inhibitors = z.record(z.string(), z.unknown());

/**
 * Keys of `switch-inhibitors` whose values differ between two systems that both have them: switch-to-configuration then refuses `switch`
 * but not `boot` (nixpkgs, system.switch.inhibitors). A file that can’t be read does not mean “none”.
 * @throws NixmakerError `not-a-system`
 */
export async function findInhibitors(running: StorePath, next: StorePath): Promise<string[]> {
  const [before, after] = await Promise.all([readInhibitors(running), readInhibitors(next)]);
  const differs = (key: string) => JSON.stringify(before[key]) !== JSON.stringify(after[key]);
  return Object.keys(after).filter((key) => Object.hasOwn(before, key) && differs(key));
}

async function readInhibitors(system: StorePath): Promise<Record<string, unknown>> {
  const file = join(system, 'switch-inhibitors');
  const text = await readFile(file, 'utf8').catch(ifNowhere(undefined));
  if (text === undefined) return {};
  try {
    return inhibitors.parse(JSON.parse(text));
  } catch (error) {
    throw new NixmakerError('not-a-system', `cannot read ${file}: ${messageOf(error)}`);
  }
}

/** The parts that only a restart changes (nixos-rebuild and system.autoUpgrade compare the first three). */
const startParts = ['kernel', 'initrd', 'kernel-modules'] as const;

/** What a restart into `next` would change compared with what was booted; nothing if either is unknown. */
export async function findStartChanges(
  booted: StorePath | undefined,
  next: StorePath | undefined,
): Promise<string[]> {
  if (booted === undefined || next === undefined) return [];
  const changed: string[] = [];
  for (const part of startParts) {
    const [a, b] = await Promise.all([booted, next].map((s) => realpath(join(s, part)).catch(ifNowhere(''))));
    if (a !== b) changed.push(part);
  }
  const [a, b] = await Promise.all(
    [booted, next].map((s) => readFile(join(s, 'kernel-params'), 'utf8').catch(ifNowhere(''))),
  );
  if (a?.trim() !== b?.trim()) changed.push('kernel-params');
  return changed;
}

const unitFile = /\.(service|socket|timer|path|mount|automount|swap|target|slice)$/;

/** Names of systemd’s unit files that differ, are new or are gone in `next`; their drop-in folders are not looked into. */
export async function findUnitChanges(running: StorePath, next: StorePath): Promise<string[]> {
  const folderOf = (system: StorePath) => join(system, 'etc/systemd/system');
  const lists = await Promise.all([running, next].map((s) => readdir(folderOf(s)).catch(ifNowhere([]))));
  const names = [...new Set(lists.flat())].filter((name) => unitFile.test(name)).sort();
  const changed: string[] = [];
  for (const name of names) {
    const files = [running, next].map((s) => join(folderOf(s), name));
    const [a, b] = await Promise.all(files.map((f) => realpath(f).catch(ifNowhere(undefined))));
    if (a === b) continue;
    // The same text can appear elsewhere: /etc is one path in small systems.
    const [before, after] = await Promise.all(
      files.map((f) => readFile(f, 'utf8').catch(ifNowhere(undefined))),
    );
    if (before !== after) changed.push(name);
  }
  return changed;
}

/** The name under which `system` has `running` as a specialisation. */
export async function findSpecialisation(system: StorePath, running: StorePath): Promise<string | undefined> {
  const folder = join(system, 'specialisation');
  for (const name of await readdir(folder).catch(ifNowhere([]))) {
    if ((await realpath(join(folder, name)).catch(ifNowhere(''))) === running) return name;
  }
  return undefined;
}

/** The specialisation of that name, if the system has it. */
export async function specialisationOf(system: StorePath, name: string): Promise<StorePath | undefined> {
  return parseStorePath(await realpath(join(system, 'specialisation', name)).catch(ifNowhere('')));
}
