/**
 * What a live image does by itself: waits for a medium, shows what would be installed from it, and does that once it may. One attempt each
 * time a medium is plugged in, or a person presses Enter.
 */

import { NixmakerError } from '../../core/errors.ts';
import { type Consent, consentFor } from '../../core/install/consent.ts';
import type { Clock, ProcessRunner } from '../../core/ports.ts';
import { firstInstall, type InstallRequest, type InstallResult } from './install.ts';
import { closeForgotten, listSticks, openStick, type Stick, stickName, type Where } from './stick.ts';

/** The person in front of the machine. */
export interface Person {
  /** Whether somebody can answer. */
  readonly answers: boolean;
  waiting(): void;
  looking(stick: string): void;
  /** It has no releases. */
  passedOver(stick: string): void;
  plan(stick: string, plan: InstallResult, consent: Consent): void;
  /** Taken out before it was needed. */
  gone(stick: string): void;
  begins(): void;
  failed(error: unknown): void;
  /** The next line that is typed from now on; undefined once the signal is aborted. */
  line(signal: AbortSignal): Promise<string | undefined>;
}

export interface Installer extends Where {
  readonly request: Omit<InstallRequest, 'place' | 'dryRun' | 'disks' | 'hosts' | 'receipts' | 'plainFolder'>;
  readonly person: Person;
  readonly run: ProcessRunner;
  readonly clock: Pick<Clock, 'sleep'>;
}

export interface FromStick {
  readonly result: InstallResult;
  readonly stick: string;
}

/** Milliseconds between two looks at what is plugged in: a person hardly notices. */
const lookEvery = 2000;

/** Ends once a machine was installed; whatever fails before is told, and it waits again. */
export async function runInstaller(installer: Installer): Promise<FromStick> {
  await closeForgotten(installer.run, installer);
  const done = new Set<string>();
  for (;;) {
    const stick = await nextStick(installer, done);
    try {
      const result = await offer(installer, stick);
      if (result !== undefined) return { result, stick: stick.name };
    } catch (error) {
      installer.person.failed(error);
    } finally {
      await stick.close();
    }
  }
}

/** @param done names of those that were tried, which count again once they were away or somebody pressed Enter */
async function nextStick(installer: Installer, done: Set<string>): Promise<Stick> {
  const { run, person } = installer;
  for (let told = false; ; ) {
    const there = await listSticks(run, installer);
    const names = new Set(there.map(stickName));
    for (const name of done) if (!names.has(name)) done.delete(name);
    const next = there.find((found) => !done.has(stickName(found)));
    if (next !== undefined) {
      told = false;
      done.add(stickName(next));
      try {
        const stick = await openStick(run, next, installer);
        if (stick !== undefined) return stick;
        person.passedOver(stickName(next));
      } catch (error) {
        person.failed(error);
      }
      continue;
    }
    if (!told) person.waiting();
    told = true;
    if ((await lineOr(installer, async () => true)) !== undefined) done.clear();
  }
}

/** The next line, or undefined as soon as `isOver` says so; it is asked each time a while has passed. */
async function lineOr(
  { person, clock }: Pick<Installer, 'person' | 'clock'>,
  isOver: () => Promise<boolean>,
): Promise<string | undefined> {
  const over = new AbortController();
  const looking = (async () => {
    do await clock.sleep(lookEvery, over.signal);
    while (!(await isOver()));
  })().catch(() => undefined);
  const line = person.line(over.signal);
  const first = await Promise.race([line, looking.then(() => undefined)]);
  over.abort();
  await looking;
  return first;
}

async function offer(installer: Installer, stick: Stick): Promise<InstallResult | undefined> {
  const { person, request } = installer;
  const { place, reach } = stick;
  person.looking(stick.name);
  const whole = { ...request, place, reach, hosts: undefined, receipts: undefined, plainFolder: false };
  const plan = await firstInstall({ ...whole, dryRun: true, anyDisks: true, disks: [] });
  const consent = consentFor(plan);
  person.plan(stick.name, plan, consent);
  let disks: readonly string[] = [];
  if (consent !== 'none') {
    if (!person.answers) throw new NixmakerError('usage', 'nobody can answer here: this is no terminal');
    const typed = await lineOr(installer, () => isGone(installer, stick));
    if (typed === undefined) {
      person.gone(stick.name);
      return undefined;
    }
    if (consent === 'names') disks = typed.split(/\s+/).filter((name) => name !== '');
  }
  person.begins();
  try {
    // As whom it was shown, whatever the table says by now.
    return await firstInstall({ ...whole, host: plan.host, dryRun: false, disks });
  } catch (error) {
    // Nothing was mounted there before (requireNotMounted): it is the disk script’s, and in the way of the next attempt.
    if (request.format) await installer.run('umount', ['--recursive', request.root], { timeout: 120_000 });
    throw error;
  }
}

async function isGone({ run }: Installer, { device }: Stick): Promise<boolean> {
  if (device === undefined) return false;
  const listed = await run('lsblk', ['--noheadings', '--output', 'NAME', device], { timeout: 30_000 });
  return listed.exitCode !== 0;
}
