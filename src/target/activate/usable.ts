/**
 * Whether nixmaker could go on under a system: whether the policy, settings and keyring that it leaves are usable, by its own nixmaker if
 * it has one. Asked before a commit. Otherwise nobody could reach the machine any more: every unit of ours would end with 78, and no bundle
 * that fixes it would ever be taken.
 */
import { access, constants } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { runOutside } from '../../activation/outside.ts';
import { exitText } from '../../core/complaint.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { defaultSettingsFile } from '../../core/policy/settings.ts';
import type { StorePath } from '../../core/store-path.ts';
import { type Machine, openMachine, openSettings } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';

interface System {
  readonly transaction: Transaction;
  readonly toplevel: StorePath;
}

/** Seconds within which it must have answered. */
const deadline = 60;

/**
 * @param when `now`: the system is running, files count as they are. `next-start`: below /etc, the files that the system will bring count
 * @throws NixmakerError `configuration-unusable`; what an operator goes back to only gets a notice
 */
export async function requireUsable(
  machine: Machine,
  { transaction, toplevel }: System,
  when: 'now' | 'next-start',
): Promise<void> {
  const fault = await findFault(machine, { transaction, toplevel }, when);
  if (fault === undefined) return;
  if (transaction.known.targetGeneration === undefined)
    throw new NixmakerError('configuration-unusable', fault);
  transaction.notice(`nixmaker cannot work under this system: ${fault}`);
}

async function findFault(machine: Machine, system: System, when: 'now' | 'next-start') {
  // Relative to where we were started; the other nixmaker is started elsewhere.
  const find = async (path: string) =>
    when === 'now' ? resolve(path) : placeAfterStart(system.toplevel, resolve(path));
  const given = machine.files.settings;
  const file = await find(given ?? defaultSettingsFile);
  // A missing default file means defaults.
  const settingsFile = given !== undefined || (await isThere(file)) ? file : undefined;
  const named = await policyFileOf(machine, settingsFile);
  const files = { settingsFile, policyFile: await find(machine.files.policy ?? named) };
  const program = join(system.toplevel, 'sw/bin/nixmaker');
  return (await isThere(program))
    ? askProgram(machine, system, { program, ...files })
    : reopen(machine, files);
}

interface Files {
  readonly settingsFile: string | undefined;
  readonly policyFile: string;
}

/** By the new settings; if only the new nixmaker understands those, by the present ones. */
const policyFileOf = (
  machine: Pick<Machine, 'settings'>,
  settingsFile: string | undefined,
): Promise<string> =>
  openSettings(settingsFile).then(
    ({ policyFile }) => policyFile,
    () => machine.settings.policyFile,
  );

/** /etc is the system’s own, and is replaced when it boots. */
async function placeAfterStart(toplevel: StorePath, path: string): Promise<string> {
  const within = join(toplevel, path);
  return path.startsWith('/etc/') && (await isThere(within)) ? within : path;
}

const isThere = (path: string): Promise<boolean> =>
  access(path, constants.F_OK).then(
    () => true,
    () => false,
  );

/** Checked by the nixmaker that will have to read them. */
async function askProgram(
  { run, settings }: Pick<Machine, 'run' | 'settings'>,
  { transaction }: System,
  { program, settingsFile, policyFile }: Files & { readonly program: string },
): Promise<string | undefined> {
  const options = settingsFile === undefined ? [] : ['--settings', settingsFile];
  const argv = [program, 'check-policy', ...options, policyFile] as const;
  const result = await (settings.activation === 'direct'
    ? run(program, argv.slice(1), { cwd: '/', timeout: deadline * 1000 })
    : runOutside(run, {
        unit: `nixmaker-usable-${transaction.id}-${process.pid}`,
        seconds: deadline,
        argv,
      }));
  if (result.exitCode === 0) return undefined;
  const how = result.timedOut ? 'no answer in time' : exitText(result.exitCode);
  // What happened, the detail, and the code are on lines of their own.
  const said = result.stderrTail.map((line) => line.trim()).join(' ');
  return `${program} rejects ${policyFile}: ${messageOf(result.startError ?? (said === '' ? how : said))}`;
}

/** Checked by ourselves, if the system has no nixmaker of its own. */
async function reopen(machine: Machine, files: Files): Promise<string | undefined> {
  try {
    const settings = await openSettings(files.settingsFile);
    await openMachine({ settings, role: machine.role, files, emit: machine.emit });
    return undefined;
  } catch (error) {
    return error instanceof NixmakerError ? `${error.code}: ${error.detail}` : messageOf(error);
  }
}
