/** The parts of a status that are compiled from several places. Reads only. */
import { messageOf } from '../../core/errors.ts';
import type { Settings } from '../../core/policy/settings.ts';
import { nextOpening } from '../../core/policy/window.ts';
import { healthOf } from '../../core/run/journal.ts';
import { listMounts, mediaAmong } from '../../media/mounts.ts';
import { systemClock } from '../../process/clock.ts';
import { runProgram } from '../../process/run.ts';
import { localMinute } from '../../report/local-time.ts';
import { readPolicy } from '../../state/config.ts';
import type { JournalRecord } from '../../state/journal.ts';
import { type Progress, readProgress, secondsLeft } from '../../state/progress.ts';
import { runtimeDirectories } from '../machine/machine.ts';

/** A step in progress, and the seconds it has left. */
export type StepProgress = Progress & { readonly secondsLeft: number | undefined };

/** From the policy, as far as this user may read it. */
export interface PolicyInShort {
  readonly window?: string;
  readonly problem?: string;
}

export async function progressOf(
  settings: Settings,
  last: JournalRecord | undefined,
): Promise<StepProgress | undefined> {
  const all = await Promise.all(runtimeDirectories(settings).map(readProgress));
  const progress = all.find((p) => p !== undefined && p.transaction === last?.transaction);
  // The file stays behind when its step is over.
  if (progress === undefined || last === undefined || !['accepted', 'imported'].includes(last.state))
    return undefined;
  return { ...progress, secondsLeft: secondsLeft(progress) };
}

export function healthLine(last: JournalRecord | undefined): string | undefined {
  const checks = healthOf(last);
  if (checks === undefined || checks.length === 0) return undefined;
  const unwell = checks.filter((c) => !c.ok);
  return unwell.length === 0
    ? `${checks.length} checks passed`
    : unwell.map((c) => `${c.check}${c.detail === undefined ? '' : `: ${c.detail}`}`).join('; ');
}

export async function mediaOf({ media }: Settings): Promise<string[]> {
  const mounts = await listMounts(runProgram);
  return mediaAmong(mounts, [...media.roots, media.directory]).map((m) => m.target);
}

/** `confirmBy` is an uptime (activation’s own clock, which nobody can set back). */
export async function confirmWithin({ confirmBy }: JournalRecord): Promise<string | undefined> {
  if (typeof confirmBy !== 'number') return undefined;
  const left = Math.round(confirmBy - systemClock.uptime());
  return left > 0
    ? `within ${left} s, or it is rolled back: nixmaker confirm`
    : 'the time to confirm is over';
}

export async function policyInShort(settings: Settings): Promise<PolicyInShort> {
  try {
    const { reboot } = await readPolicy(settings.policyFile, process.getuid?.() ?? 0);
    if (reboot.when === 'never') return {};
    if (reboot.window === undefined) return { window: `restarts ${reboot.when}, at any hour` };
    const opens = nextOpening(reboot.window, systemClock.now())?.toISOString();
    return {
      window: `restarts ${reboot.when}; the next window opens ${opens === undefined ? 'never' : localMinute(opens)}`,
    };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}
