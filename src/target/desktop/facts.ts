/** What notices are made from. Only reads, as any user may. */
import { readFile } from 'node:fs/promises';
import { findStartChanges } from '../../activation/inspect.ts';
import type { Settings } from '../../core/policy/settings.ts';
import type { Clock } from '../../core/ports.ts';
import type { ScreenFacts } from '../../core/run/notices.ts';
import { readProfile, readSystemLink } from '../../nix/profile.ts';
import { readMediumWord, readQuestion } from '../../state/screen.ts';
import { readAllJournals } from '../inspect/status.ts';
import { screenDirectoryOf } from '../machine/machine.ts';

export async function readScreenFacts(
  settings: Settings,
  clock: Pick<Clock, 'now' | 'uptime'>,
): Promise<ScreenFacts> {
  const folder = screenDirectoryOf(settings);
  const [booted, profile] = await Promise.all([
    readSystemLink(settings.bootedSystem),
    readProfile(settings.profile),
  ]);
  return {
    bootId: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
    uptime: clock.uptime(),
    now: clock.now(),
    records: (await readAllJournals(settings)).records,
    restartChanges: await findStartChanges(booted, profile.toplevel),
    word: await readMediumWord(folder),
    question: await readQuestion(folder),
  };
}
