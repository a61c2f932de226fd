/**
 * From `profile-set` to a committed generation, one state after the other, or back to where we were (roll-back.ts).
 *
 * Invariants: every transition is on disk before its effect, together with what to go back to; every effect may run twice; the old system
 * keeps its generation and its boot entry until the new one is committed.
 */

import { findInhibitors, findStartChanges, specialisationOf } from '../../activation/inspect.ts';
import { NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { describeFault } from '../../core/run/boot-menu.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import type { Operation } from '../../core/schema.ts';
import { parseStorePath, type StorePath } from '../../core/store-path.ts';
import { readProfile, readSystemLink, setProfile, switchGeneration } from '../../nix/profile.ts';
import { raiseFloorFor } from '../machine/floor.ts';
import type { Machine } from '../machine/machine.ts';
import { supersedePending } from '../machine/pending.ts';
import type { Transaction } from '../machine/transaction.ts';
import { installMenu } from './boot-verb.ts';
import { requireHealth } from './health.ts';
import { rollBack } from './roll-back.ts';
import { accept, switchVerb } from './switch-verb.ts';
import { requireUsable } from './usable.ts';
import { holdWhatWasLeft, sentenceOfGoingBack } from './went-back.ts';

/** A system to activate, and the run that does it. */
export interface Activation {
  readonly transaction: Transaction;
  readonly toplevel: StorePath;
  readonly operation: Operation;
}

/** Does what the state announces, and so on up to the commit. Also when a stopped run is taken up. */
export async function carryOn(machine: Machine, request: Activation): Promise<Receipt> {
  const { transaction, operation } = request;
  try {
    await supersedePending(machine, transaction);
    while (transaction.state !== 'healthy') {
      if ((await oneStep(machine, request)) !== 'restart-first') continue;
      await requireUsable(machine, request, 'next-start');
      return await leavePending(machine, request);
    }
    if (operation === 'switch') {
      // First, because the health checks belong to the policy.
      await requireUsable(machine, request, 'now');
      await requireHealth(machine, { transaction, afterStart: false });
    }
  } catch (error) {
    return rollBack(machine, request, error);
  }
  return commit(machine, request);
}

async function oneStep(machine: Machine, request: Activation): Promise<'restart-first' | undefined> {
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
      await installBootLoader(machine, request);
      if (operation === 'boot') return 'restart-first';
      const running = await readSystemLink(currentSystem);
      const inhibitors = running === undefined ? [] : await findInhibitors(running, toplevel);
      if (inhibitors.length > 0) {
        transaction.notice(
          `This system cannot be switched to while the machine runs, because it changes: ${inhibitors.join(', ')}.`,
        );
        return 'restart-first';
      }
      // A release with no way back can’t be asked afterwards: nixmaker would be locked out, and the system would stay.
      if (transaction.known.noWayBack !== undefined) await requireUsable(machine, request, 'next-start');
      await transaction.advance('switched');
      return undefined;
    }
    case 'switched': {
      const system = await variantOf(request);
      // The boot builder makes the system it is run for the default: the menu now has the plain one.
      const verb = system === toplevel ? 'switch' : 'test';
      const result = await switchVerb(machine, { transaction, toplevel: system }, verb);
      accept(transaction, result, ['done', 'units-failed', 'reboot-needed']);
      if (result.outcome === 'reboot-needed') return 'restart-first';
      await transaction.advance('healthy');
      return undefined;
    }
    default:
      throw new NixmakerError('internal', `cannot activate from state ${transaction.state}`);
  }
}

/** @throws NixmakerError `no-boot-entry`, `activation-failed` */
async function installBootLoader(machine: Machine, { transaction, toplevel }: Activation): Promise<void> {
  const previous = parseStorePath(transaction.known.previousToplevel ?? '');
  const fault = await installMenu(machine, transaction, {
    question: { next: toplevel, previous, offered: [previous] },
    requireDone: (result) => accept(transaction, result, ['done']),
    // A person chose one that was there.
    onRenewed:
      transaction.known.targetGeneration === undefined
        ? undefined
        : (generation) => transaction.learn(given({ generation })),
  });
  if (fault !== undefined) throw new NixmakerError('no-boot-entry', describeFault(fault));
}

/** The system or, if a specialisation of the old one is running, the new system’s of the same name. */
async function variantOf({ transaction, toplevel }: Activation): Promise<StorePath> {
  const { specialisation: name } = transaction.known;
  if (name === undefined) return toplevel;
  const variant = await specialisationOf(toplevel, name);
  const text =
    variant === undefined
      ? `Specialisation ${name} was running, but the new system does not have it, so the plain system runs.`
      : `Specialisation ${name} was running and still is. The next start uses the plain system.`;
  transaction.notice(text);
  return variant ?? toplevel;
}

/** Installed, and nothing more can be done before the machine is restarted. */
async function leavePending(
  machine: Pick<Machine, 'clock' | 'floorDirectory' | 'settings'>,
  { transaction, toplevel }: Activation,
): Promise<Receipt> {
  await learnStartChanges(machine, transaction, toplevel);
  await holdWhatWasLeft(machine, transaction.known);
  const detail =
    sentenceOfGoingBack(transaction.known, 'runs-later') ??
    'The new system is installed and runs from the next start. The previous one is kept until the new one is confirmed.';
  return transaction.end('pending', { detail });
}

/** What only a restart changes, for the receipt. */
async function learnStartChanges(
  machine: Pick<Machine, 'settings'>,
  transaction: Transaction,
  toplevel: StorePath,
): Promise<readonly string[]> {
  const booted = await readSystemLink(machine.settings.bootedSystem);
  const changes = await findStartChanges(booted, toplevel);
  // After the restart this no longer holds.
  if (changes.length > 0 || transaction.known.rebootNeeded !== undefined)
    transaction.learn({ rebootNeeded: changes });
  return changes;
}

/** Raises the floor, then commits: if cut off between the two, the run is taken up again and commits once more. */
export async function commit(
  machine: Pick<Machine, 'clock' | 'emit' | 'floorDirectory' | 'policy' | 'settings'>,
  { transaction, toplevel, operation }: Activation,
): Promise<Receipt> {
  const changes = await learnStartChanges(machine, transaction, toplevel);
  if (changes.length > 0) transaction.notice(`Takes effect after a restart: ${changes.join(', ')}.`);
  await raiseFloorFor(machine, transaction.known);
  await holdWhatWasLeft(machine, transaction.known);
  if (machine.policy.hooks.after !== undefined) transaction.learn({ afterDue: true });
  const detail = sentenceOfGoingBack(transaction.known, 'runs') ?? sentence(operation);
  return transaction.end('committed', { detail });
}

export function sentence(operation: Operation): string {
  if (operation === 'boot') return 'The machine has restarted into the new system, and it is confirmed.';
  if (operation === 'switch') return 'The new system is installed and running.';
  if (operation === 'test') return 'The new system runs until the next start; it is not installed.';
  return 'Nothing was changed; the messages below show what a switch would do.';
}
