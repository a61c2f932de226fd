/**
 * The `boot` verb of a system’s switch-to-configuration, and what it did to the boot menu. “The old system always still boots” is a promise
 * about the menu, and only the menu can tell.
 */
import { stat } from 'node:fs/promises';
import { leftover, readBootMenus } from '../../activation/boot-menu.ts';
import { runOutside } from '../../activation/outside.ts';
import type { SwitchResult } from '../../activation/switch.ts';
import { complaintOf } from '../../core/complaint.ts';
import { judgeMenu, type MenuFault, type MenuQuestion } from '../../core/run/boot-menu.ts';
import { readProfile, setProfile } from '../../nix/profile.ts';
import type { ByRun } from '../machine/by-run.ts';
import type { Machine } from '../machine/machine.ts';
import { switchVerb } from './switch-verb.ts';

interface BootResult {
  readonly result: SwitchResult;
  /** Undefined if all is as it should be, or the menu can’t be read. */
  readonly fault: MenuFault | undefined;
}

type Needed = Pick<Machine, 'run' | 'clock' | 'settings'>;

async function bootVerb(machine: Needed, transaction: ByRun, question: MenuQuestion): Promise<BootResult> {
  const { bootDirectory } = machine.settings;
  await clearCutOff(machine, transaction);
  const before = await readBootMenus(bootDirectory);
  const result = await switchVerb(machine, { transaction, toplevel: question.next }, 'boot');
  if (result.outcome !== 'done') return { result, fault: undefined };
  return { result, fault: judgeMenu({ before, after: await readBootMenus(bootDirectory) }, question) };
}

interface Installation {
  readonly question: MenuQuestion;
  /** Throws if the verb itself failed. */
  readonly requireDone: (result: SwitchResult) => void;
  /** Undefined if the generation is a new one anyway. */
  readonly onRenewed: ((generation: number | undefined) => void) | undefined;
}

/**
 * A generation that is gone back to may be older than the menu is long: if it has no entry, the system gets a new generation, which every
 * menu includes, and the boot loader is installed again. @returns what is still wrong with the menu
 */
export async function installMenu(
  machine: Needed & Pick<Machine, 'nix'>,
  transaction: ByRun,
  { question, requireDone, onRenewed }: Installation,
): Promise<MenuFault | undefined> {
  const install = async () => {
    const { result, fault } = await bootVerb(machine, transaction, question);
    requireDone(result);
    return fault;
  };
  const fault = await install();
  if (fault?.kind !== 'new-is-missing' || onRenewed === undefined) return fault;
  const { profile } = machine.settings;
  await setProfile(machine.nix, { profile, toplevel: question.next });
  onRenewed((await readProfile(profile)).generation);
  return install();
}

/** That of switch-to-configuration itself. */
const switchLock = '/run/nixos/switch-to-configuration.lock';
const seconds = 60;

/**
 * A boot builder ended by a power cut leaves a file behind that makes every later one fail, including a rollback’s. It is removed if nobody
 * holds the lock for switches: then it belongs to nobody.
 */
async function clearCutOff({ run, settings }: Needed, transaction: ByRun): Promise<void> {
  const file = leftover(settings.bootDirectory);
  if ((await stat(file).catch(() => undefined)) === undefined) return;
  // The builder may be at work on it, and then holds the lock.
  const argv = ['flock', '--nonblock', '--no-fork', switchLock, 'rm', '--force', file];
  const [program = '', ...args] = argv;
  const result = await (settings.activation === 'direct'
    ? run(program, args, { timeout: seconds * 1000, cwd: '/' })
    : runOutside(run, { unit: `nixmaker-boot-leftover-${transaction.id}-${process.pid}`, seconds, argv }));
  if (result.exitCode === 0) transaction.emit('boot-leftover-removed', { file }, 'warn');
  else transaction.emit('boot-leftover-kept', { file, detail: complaintOf(result, 'busy') }, 'warn');
}
