/**
 * From a valid toplevel to a committed generation, or back to where we were (roll-back.ts).
 *
 * Invariants: from `profile-set` on, every transition is on disk before its effect, together with what to go back to;
 * every effect may run twice; the old system keeps its generation and its boot entry until the new one is committed.
 */

import { listFailedUnits } from '../../activation/health.ts';
import {
  checkBootRoom,
  findInhibitors,
  findSpecialisation,
  findStartChanges,
  specialisationOf,
} from '../../activation/inspect.ts';
import { guardSystem, runSwitch, type SwitchResult, type SwitchVerb } from '../../activation/switch.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import type { Operation } from '../../core/schema.ts';
import type { StorePath } from '../../core/store-path.ts';
import { readProfile, readSystemLink, setProfile, switchGeneration } from '../../nix/profile.ts';
import { describeDiff } from '../../report/diff.ts';
import { raiseFloor } from '../../state/floor.ts';
import type { Machine } from '../machine/machine.ts';
import { rollbackTarget, supersedePending } from '../machine/pending.ts';
import type { Transaction } from '../machine/transaction.ts';
import { requireApproval } from './approval.ts';
import { requireHealth } from './health.ts';
import { rollBack } from './roll-back.ts';
import { diffSystems } from './system-diff.ts';

export interface ActivationRequest {
  readonly transaction: Transaction;
  readonly toplevel: StorePath;
  readonly operation: Operation;
  /** Nobody has asked for it by hand: where the policy wants a local word, it is asked for. */
  readonly unattended?: boolean;
}

export async function activate(machine: Machine, request: ActivationRequest): Promise<Receipt> {
  const { transaction, operation } = request;
  await recordStartingPoint(machine, request);
  if (operation === 'test' || operation === 'dry-activate') return tryOut(machine, request);
  await askSystem(machine, request);
  if (request.unattended === true) await requireApproval(machine, transaction);
  await transaction.advance('profile-set');
  return carryOn(machine, request);
}

/** Checks that it is a system, and learns what to go back to. @throws NixmakerError `not-a-system` */
async function recordStartingPoint(machine: Machine, request: ActivationRequest): Promise<void> {
  const { transaction, toplevel, operation } = request;
  const { settings } = machine;
  await guardSystem(toplevel);
  const installed = await readProfile(settings.profile);
  const profile = await rollbackTarget(machine, installed);
  const current = await readSystemLink(settings.currentSystem);
  const failed = settings.activation === 'systemd' ? await listFailedUnits(machine.run) : undefined;
  const specialisation =
    current === undefined || installed.toplevel === undefined
      ? undefined
      : await findSpecialisation(installed.toplevel, current);
  transaction.learn({
    toplevel,
    operation,
    bootId: machine.bootId,
    ...(failed === undefined ? {} : { failedUnitsBefore: failed }),
    ...(profile.toplevel === undefined ? {} : { previousToplevel: profile.toplevel }),
    ...(profile.generation === undefined ? {} : { previousGeneration: profile.generation }),
    ...(current === undefined ? {} : { previousCurrent: current }),
    ...(specialisation === undefined ? {} : { specialisation }),
  });
  if (current !== undefined) await tellChanges(machine, request, current);
}

/** Before anything is changed: afterwards nobody can compare any more. It is for people, so nothing depends on it. */
async function tellChanges(
  machine: Machine,
  { transaction, toplevel }: Pick<ActivationRequest, 'transaction' | 'toplevel'>,
  from: StorePath,
): Promise<void> {
  try {
    const diff = await diffSystems(machine.nix, { from, to: { toplevel } });
    transaction.learn({ changes: describeDiff(diff, linesOfChanges) });
  } catch (error) {
    transaction.emit('changes-unknown', { detail: messageOf(error) }, 'warn');
  }
}

/** They are in every line of the journal that follows. */
const linesOfChanges = 20;

/**
 * What nixos-rebuild would find out only after the profile has moved: the system’s own checks, and room for its kernel.
 * @throws NixmakerError `no-boot-space`, `check-failed`, `busy`
 */
async function askSystem(machine: Machine, request: ActivationRequest): Promise<void> {
  await checkBootRoom(machine.settings.bootDirectory, request.toplevel);
  const { outcome, exitCode, output } = await switchVerb(machine, request, 'check');
  if (outcome === 'done') return;
  if (outcome === 'lock-held') throw new NixmakerError('busy', 'another switch is under way');
  // Systems older than `check` (NixOS 25.05) say how they are to be used; they check when they switch.
  if (outcome === 'not-activated' && output.some((line) => /usage/i.test(line))) return;
  request.transaction.learn({ output });
  const said = output.at(-1);
  throw new NixmakerError(
    'check-failed',
    `switch-to-configuration check: ${outcome} (exit ${exitCode ?? 'none'})${said === undefined ? '' : `: ${messageOf(said)}`}`,
  );
}

/** Does what the state says is about to be done, and so on to the commit. Also where a stopped run is taken up. */
export async function carryOn(machine: Machine, request: ActivationRequest): Promise<Receipt> {
  const { transaction, operation } = request;
  try {
    await supersedePending(machine, transaction);
    while (transaction.state !== 'healthy') {
      if ((await oneStep(machine, request)) === 'restart-first') return await leavePending(machine, request);
    }
    if (operation === 'switch') await requireHealth(machine, { transaction, afterStart: false });
  } catch (error) {
    return rollBack(machine, request, error);
  }
  return commit(machine, request);
}

async function oneStep(machine: Machine, request: ActivationRequest): Promise<'restart-first' | undefined> {
  const { transaction, toplevel, operation } = request;
  const { profile, currentSystem } = machine.settings;
  switch (transaction.state) {
    case 'profile-set': {
      const { targetGeneration } = transaction.known;
      if (targetGeneration === undefined) await setProfile(machine.nix, { profile, toplevel });
      else await switchGeneration(machine.nix, { profile, generation: targetGeneration });
      const { generation } = await readProfile(profile);
      if (generation !== undefined) transaction.learn({ generation });
      await transaction.advance('boot-entry');
      return undefined;
    }
    case 'boot-entry': {
      accept(transaction, await switchVerb(machine, request, 'boot'), ['done']);
      if (operation === 'boot') return 'restart-first';
      const running = await readSystemLink(currentSystem);
      const inhibitors = running === undefined ? [] : await findInhibitors(running, toplevel);
      if (inhibitors.length > 0) {
        transaction.notice(
          `It can’t be switched to while the machine runs, for it changes: ${inhibitors.join(', ')}.`,
        );
        return 'restart-first';
      }
      await transaction.advance('switched');
      return undefined;
    }
    case 'switched': {
      const system = await variantOf(request);
      const result = await switchVerb(machine, { transaction, toplevel: system }, 'switch');
      accept(transaction, result, ['done', 'units-failed', 'reboot-needed']);
      if (result.outcome === 'reboot-needed') return 'restart-first';
      await transaction.advance('healthy');
      return undefined;
    }
    default:
      throw new NixmakerError('internal', `an activation can’t be in the state ${transaction.state}`);
  }
}

/** The system, or, where a specialisation of the old one runs, the new system’s of the same name. */
async function variantOf({ transaction, toplevel }: ActivationRequest): Promise<StorePath> {
  const { specialisation: name } = transaction.known;
  if (name === undefined) return toplevel;
  const variant = await specialisationOf(toplevel, name);
  const text =
    variant === undefined
      ? `The specialisation ${name} was running; the new system has none of that name, so it runs as it is.`
      : `The specialisation ${name} was running, and runs again. The next start is into the plain system.`;
  transaction.notice(text);
  return variant ?? toplevel;
}

/** Installed, and nothing more can be done before the machine is restarted. */
async function leavePending(
  machine: Machine,
  { transaction, toplevel }: ActivationRequest,
): Promise<Receipt> {
  await learnStartChanges(machine, transaction, toplevel);
  const detail =
    'The new system is installed and will run from the next start on; until it has been confirmed then, the previous one stays beside it.';
  return transaction.end('pending', { detail });
}

/** What only a restart changes, for the receipt. */
async function learnStartChanges(
  machine: Machine,
  transaction: Transaction,
  toplevel: StorePath,
): Promise<readonly string[]> {
  const booted = await readSystemLink(machine.settings.bootedSystem);
  const changes = await findStartChanges(booted, toplevel);
  // After the restart it is no longer so.
  if (changes.length > 0 || transaction.known.rebootNeeded !== undefined)
    transaction.learn({ rebootNeeded: changes });
  return changes;
}

/** Raises the floor, then commits: between the two, the run is taken up again and commits once more. */
export async function commit(
  machine: Machine,
  { transaction, toplevel, operation }: ActivationRequest,
): Promise<Receipt> {
  const changes = await learnStartChanges(machine, transaction, toplevel);
  if (changes.length > 0) transaction.notice(`A restart is needed for: ${changes.join(', ')}.`);
  const { sequence, downgradeFrom, manifestDigest, createdAt } = transaction.known;
  if (sequence !== undefined && manifestDigest !== undefined && createdAt !== undefined) {
    // After a downgrade the floor stays where it is, with what is there now: the system that was left can’t come back.
    const floor = { schema: 1, sequence: downgradeFrom ?? sequence, manifestDigest, createdAt } as const;
    await raiseFloor(machine.floorDirectory, floor);
  }
  return transaction.end('committed', { detail: sentence(operation) });
}

function sentence(operation: Operation): string {
  if (operation === 'boot') return 'The machine was started into the new system, which is confirmed.';
  if (operation === 'switch') return 'The new system is installed and running.';
  if (operation === 'test') return 'The new system is running until the next start; it is not installed.';
  return 'Nothing was changed; the messages below say what a switch would do.';
}

/** Runs a verb of the request's system. */
export function switchVerb(
  machine: Machine,
  { transaction, toplevel }: Pick<ActivationRequest, 'transaction' | 'toplevel'>,
  verb: SwitchVerb,
): Promise<SwitchResult> {
  const { run, clock, settings } = machine;
  return runSwitch(
    {
      run,
      clock,
      mode: settings.activation,
      transaction: transaction.id,
      deadline: settings.switchDeadline * 1000,
    },
    { toplevel, verb },
  );
}

/** Lets through the outcomes that count as success, with a notice where a person should know. */
function accept(
  transaction: Transaction,
  result: SwitchResult,
  good: readonly SwitchResult['outcome'][],
): void {
  transaction.learn({ output: result.output });
  if (!good.includes(result.outcome)) {
    const last = result.output.at(-1);
    const said = last === undefined ? '' : `: ${messageOf(last)}`;
    const exit = result.exitCode ?? 'none';
    throw new NixmakerError(
      'activation-failed',
      `switch-to-configuration: ${result.outcome} (exit ${exit})${said}`,
    );
  }
  if (result.outcome === 'units-failed') {
    transaction.notice('The system was switched, but some units failed: see `systemctl --failed`.');
  }
}

/** `test` and `dry-activate` touch neither profile nor boot loader, and leave the floor where it is. */
async function tryOut(machine: Machine, request: ActivationRequest): Promise<Receipt> {
  const { transaction, operation } = request;
  await transaction.advance('switched');
  try {
    const verb = operation === 'test' ? 'test' : 'dry-activate';
    accept(transaction, await switchVerb(machine, request, verb), ['done', 'units-failed']);
    await transaction.advance('healthy');
  } catch (error) {
    if (operation === 'test') return rollBack(machine, request, error);
    return transaction.end('failed', { code: 'activation-failed', detail: messageOf(error) });
  }
  return transaction.end('committed', { detail: sentence(operation) });
}
