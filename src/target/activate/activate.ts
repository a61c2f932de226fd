/** From a valid toplevel to `profile-set`: what to go back to, what the system itself says, who has to agree; then steps.ts. */

import { requireBootMounted } from '../../activation/boot-mounted.ts';
import { checkBootRoom } from '../../activation/boot-room.ts';
import { listUnwellUnits } from '../../activation/health.ts';
import { findInhibitors, findSpecialisation } from '../../activation/inspect.ts';
import { guardSystem } from '../../activation/switch.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { failedCheck, reasonIn } from '../../core/run/switch-outcome.ts';
import type { StorePath } from '../../core/store-path.ts';
import { readProfile, readSystemLink } from '../../nix/profile.ts';
import { describeDiff } from '../../report/diff.ts';
import type { Machine } from '../machine/machine.ts';
import { rollbackTarget } from '../machine/pending.ts';
import { stillShort, tellFreed } from '../machine/tell-freed.ts';
import { outcomeOf } from '../machine/transaction.ts';
import { requireApproval } from './approval.ts';
import { ensureWayBack } from './first-generation.ts';
import { requireBefore, runRollBackHook } from './hooks.ts';
import { makeBootRoom } from './make-boot-room.ts';
import { rollBack } from './roll-back.ts';
import { type Activation, carryOn, sentence } from './steps.ts';
import { accept, switchVerb } from './switch-verb.ts';
import { diffSystems } from './system-diff.ts';

export interface ActivationRequest extends Activation {
  /** Nobody asked for it by hand: if the policy requires a local approval, it is asked for. */
  readonly unattended?: boolean;
}

export async function activate(machine: Machine, request: ActivationRequest): Promise<Receipt> {
  const { transaction, operation } = request;
  await recordStartingPoint(machine, request);
  if (operation === 'test' || operation === 'dry-activate') return tryOut(machine, request);
  await withBootRoom(machine, request, () => askSystem(machine, request));
  if (request.unattended === true) await requireApproval(machine, transaction);
  await ensureWayBack(machine, transaction);
  await beginChange(machine, request);
  return carryOn(machine, request);
}

/** What `before` has begun is undone if, in spite of it, nothing can be changed: the disk is full, or a person wants to stop. */
async function beginChange(machine: Machine, { transaction, operation }: ActivationRequest): Promise<void> {
  await requireBefore(machine, transaction);
  try {
    await transaction.advance('profile-set');
  } catch (error) {
    await runRollBackHook(machine, { transaction, operation });
    throw error;
  }
}

/** If there is no room for its kernel, old ones are removed, and the check is repeated. */
async function withBootRoom(
  machine: Machine,
  { transaction, toplevel: system }: ActivationRequest,
  askSystem: () => Promise<void>,
): Promise<void> {
  try {
    await askSystem();
  } catch (error) {
    const lacksRoom = error instanceof NixmakerError && error.code === 'no-boot-space';
    if (!lacksRoom || machine.policy.collect === 'never') throw error;
    const { bootDirectory, currentSystem } = machine.settings;
    const running = await readSystemLink(currentSystem);
    const freed = await makeBootRoom(machine, transaction, { bootDirectory, system, running });
    await tellFreed(transaction, freed);
    await askSystem().catch((again: unknown) => {
      throw stillShort(again, freed);
    });
  }
}

/** Checks that it is a system, and learns what to go back to. @throws NixmakerError `not-a-system` */
async function recordStartingPoint(
  machine: Pick<Machine, 'bootId' | 'clock' | 'nix' | 'run' | 'settings'>,
  request: ActivationRequest,
): Promise<void> {
  const { transaction, toplevel, operation } = request;
  const { settings } = machine;
  await guardSystem(toplevel);
  const installed = await readProfile(settings.profile);
  const profile = await rollbackTarget(machine, installed);
  const current = await readSystemLink(settings.currentSystem);
  const unwell = settings.activation === 'systemd' ? await listUnwellUnits(machine) : undefined;
  const specialisation =
    current === undefined || installed.toplevel === undefined
      ? undefined
      : await findSpecialisation(installed.toplevel, current);
  const startingPoint = {
    failedUnitsBefore: unwell?.failed,
    restartedUnitsBefore: unwell?.restarted.length === 0 ? undefined : unwell?.restarted,
    previousToplevel: profile.toplevel,
    previousGeneration: profile.generation,
    previousCurrent: current,
    specialisation,
  };
  transaction.learn({ toplevel, operation, bootId: machine.bootId, ...given(startingPoint) });
  if (current !== undefined) await tellChanges(machine, request, current);
}

/** Before anything is changed: afterwards there is nothing left to compare. It is for people, so nothing depends on it. */
async function tellChanges(
  machine: Pick<Machine, 'nix'>,
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

/** They are in every journal line that follows. */
const linesOfChanges = 20;

/**
 * What nixos-rebuild would discover only after the profile has moved: the system’s own checks, and room for its kernel.
 * @throws NixmakerError `boot-not-mounted`, `no-boot-space`, `check-failed`, `busy`
 */
async function askSystem(
  machine: Pick<Machine, 'clock' | 'run' | 'settings'>,
  request: ActivationRequest,
): Promise<void> {
  const { activation, bootDirectory, currentSystem } = machine.settings;
  // In a sandbox, fstab belongs to the surrounding machine.
  if (activation === 'systemd') await requireBootMounted(bootDirectory);
  const running = await readSystemLink(currentSystem);
  const doubt = await checkBootRoom({ bootDirectory, system: request.toplevel, running });
  if (doubt !== undefined) request.transaction.notice(doubt);
  const { outcome, exitCode, output } = await switchVerb(machine, request, 'check');
  if (outcome === 'done') return;
  if (outcome === 'lock-held') throw new NixmakerError('busy', 'another switch is in progress');
  // Systems older than `check` (NixOS 25.05) print their usage; they check when they switch.
  if (outcome === 'not-finished' && output.some((line) => /usage/i.test(line))) return;
  if (await isForNextStart(machine, request.toplevel, failedCheck(output))) return;
  request.transaction.learn({ output });
  const said = reasonIn(output);
  throw new NixmakerError(
    'check-failed',
    `switch-to-configuration check: ${outcome} (exit ${exitCode ?? 'none'})${said === undefined ? '' : `: ${messageOf(said)}`}`,
  );
}

/**
 * NixOS’s own pre-switch check, which makes `check` fail if something can’t be changed while the machine runs. `boot` passes it, so the new
 * system can be left to the next boot. (Checks whose names sort after it are made by `boot`.)
 */
const inhibitorsCheck = 'switchInhibitors';

async function isForNextStart(
  { settings }: Pick<Machine, 'settings'>,
  toplevel: StorePath,
  failed: string | undefined,
): Promise<boolean> {
  if (failed !== inhibitorsCheck) return false;
  const running = await readSystemLink(settings.currentSystem);
  return running !== undefined && (await findInhibitors(running, toplevel)).length > 0;
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
    return transaction.end('failed', outcomeOf(error));
  }
  return transaction.end('committed', { detail: sentence(operation) });
}
