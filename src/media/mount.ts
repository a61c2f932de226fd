/** Mounts a medium, read-only and harmless, and unmounts it. */

import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { complaintOf } from '../core/complaint.ts';
import { NixmakerError } from '../core/errors.ts';
import { type MediumDevice, mountOptions } from '../core/policy/medium.ts';
import type { ProcessRunner } from '../core/ports.ts';

/** What blkid(8) finds on the device itself, without its cache. */
export async function probeDevice(run: ProcessRunner, device: string): Promise<MediumDevice> {
  const args = ['--probe', '--output', 'export', '--match-tag', 'TYPE', '--match-tag', 'LABEL', device];
  const result = await run('blkid', args, { timeout: 30_000 });
  const value = (tag: string) => new RegExp(`^${tag}=(.*)$`, 'm').exec(result.stdout)?.[1];
  return { fileSystem: value('TYPE'), label: value('LABEL') };
}

/** @returns where it is now @throws NixmakerError `io-error` */
export async function mountMedium(
  run: ProcessRunner,
  {
    device,
    name,
    fileSystem,
    directory,
  }: { device: string; name: string; fileSystem: string; directory: string },
): Promise<string> {
  const target = join(directory, name);
  await mkdir(target, { recursive: true, mode: 0o755 });
  const options = mountOptions(fileSystem, 'read');
  const complaint =
    (await setDevice(run, '--setro', device)) ?? (await mount(run, { device, fileSystem, options, target }));
  if (complaint === undefined) return target;
  await rmdir(target).catch(() => undefined);
  throw new NixmakerError('io-error', `cannot mount ${device}: ${complaint}`);
}

/**
 * The same, to write a receipt: just as harmless, and for as long as `work` takes.
 * @throws NixmakerError `medium-read-only`, `medium-failing`
 */
export async function whileWritable(
  run: ProcessRunner,
  { device, fileSystem, target }: { device: string; fileSystem: string; target: string },
  work: () => Promise<void>,
): Promise<void> {
  await mkdir(target, { recursive: true, mode: 0o700 });
  const options = mountOptions(fileSystem, 'write');
  const complaint =
    (await setDevice(run, '--setrw', device)) ?? (await mount(run, { device, fileSystem, options, target }));
  if (complaint !== undefined) throw new NixmakerError('medium-read-only', `${device}: ${complaint}`);
  try {
    await work();
  } finally {
    // Not lazily: only then is everything on the medium.
    const unmounted = await run('umount', [target], { timeout: 120_000 });
    if (unmounted.exitCode !== 0) await run('umount', ['--lazy', target], { timeout: 30_000 });
  }
}

/**
 * `ro` is a file system’s promise, and ext4 writes all the same: it deletes what a superblock calls orphans, and records errors. If the
 * device itself is read-only, nothing is written. Its unit undoes that when it stops (nixmaker-medium@.service).
 * @returns why not
 */
async function setDevice(
  run: ProcessRunner,
  how: '--setro' | '--setrw',
  device: string,
): Promise<string | undefined> {
  const result = await run('blockdev', [how, device], { timeout: 30_000 });
  return result.exitCode === 0 ? undefined : complaintOf(result, 'blockdev(8) gave no reason');
}

/** @returns why not, if it is not mounted */
async function mount(
  run: ProcessRunner,
  {
    device,
    fileSystem,
    options,
    target,
  }: { device: string; fileSystem: string; options: string; target: string },
): Promise<string | undefined> {
  const args = ['--types', fileSystem, '--options', options, device, target];
  const result = await run('mount', args, { timeout: 60_000 });
  return result.exitCode === 0 ? undefined : complaintOf(result, 'mount(8) gave no reason');
}
