/**
 * From a valid toplevel to a committed generation, or back to where we were (roll-back.ts).
 *
 * Invariants: from `profile-set` on, every transition is on disk before its effect, together with what to go back to;
 * every effect may run twice; the old system keeps its generation and its boot entry until the new one is committed.
 */

import { checkHealth, listFailedUnits } from '../activation/health.ts';
import { guardSystem, runSwitch, type SwitchResult, type SwitchVerb } from '../activation/switch.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import type { Receipt } from '../core/receipt.ts';
import type { Operation } from '../core/schema.ts';
import type { StorePath } from '../core/store-path.ts';
import { readProfile, readSystemLink, setProfile, switchGeneration } from '../nix/profile.ts';
import { raiseFloor } from '../state/floor.ts';
import type { Machine } from './machine.ts';
import { rollBack } from './roll-back.ts';
import type { Transaction } from './transaction.ts';

export interface ActivationRequest {
  readonly transaction: Transaction;
  readonly toplevel: StorePath;
  readonly operation: Operation;
}

export async function activate(machine: Machine, request: ActivationRequest): Promise<Receipt> {
  const { transaction, operation } = request;
  await remember(machine, request);
  if (operation === 'test' || operation === 'dry-activate') return tryOut(machine, request);
  await transaction.advance('profile-set');
  return carryOn(machine, request);
}

/** Checks that it is a system, and learns what to go back to. @throws NixmakerError `not-a-system` */
async function remember(
  machine: Machine,
  { transaction, toplevel, operation }: ActivationRequest,
): Promise<void> {
  const { settings } = machine;
  await guardSystem(toplevel);
  const profile = await readProfile(settings.profile);
  const current = await readSystemLink(settings.currentSystem);
  const failed = settings.activation === 'systemd' ? await listFailedUnits(machine.run) : undefined;
  transaction.learn({
    toplevel,
    operation,
    bootId: machine.bootId,
    ...(failed === undefined ? {} : { failedUnitsBefore: failed }),
    ...(profile.toplevel === undefined ? {} : { previousToplevel: profile.toplevel }),
    ...(profile.generation === undefined ? {} : { previousGeneration: profile.generation }),
    ...(current === undefined ? {} : { previousCurrent: current }),
  });
}

/** Does what the state says is about to be done, and so on to the commit. Also where a stopped run is taken up. */
export async function carryOn(machine: Machine, request: ActivationRequest): Promise<Receipt> {
  try {
    while (request.transaction.state !== 'healthy') await oneStep(machine, request);
    await requireHealth(machine, request);
  } catch (error) {
    return rollBack(machine, request, error);
  }
  return commit(machine, request);
}

async function oneStep(machine: Machine, request: ActivationRequest): Promise<void> {
  const { transaction, toplevel, operation } = request;
  const { profile } = machine.settings;
  switch (transaction.state) {
    case 'profile-set': {
      const { targetGeneration } = transaction.known;
      if (targetGeneration === undefined) await setProfile(machine.nix, { profile, toplevel });
      else await switchGeneration(machine.nix, { profile, generation: targetGeneration });
      const { generation } = await readProfile(profile);
      if (generation !== undefined) transaction.learn({ generation });
      await transaction.advance('boot-entry');
      break;
    }
    case 'boot-entry':
      accept(transaction, await switchVerb(machine, request, 'boot'), ['done']);
      await transaction.advance(operation === 'switch' ? 'switched' : 'healthy');
      break;
    case 'switched':
      accept(transaction, await switchVerb(machine, request, 'switch'), [
        'done',
        'units-failed',
        'reboot-needed',
      ]);
      await transaction.advance('healthy');
      break;
    default:
      throw new NixmakerError('internal', `an activation can’t be in the state ${transaction.state}`);
  }
}

/**
 * What the policy asks of a machine that runs the new system. After `boot` there is nothing to look at yet.
 * @throws NixmakerError `health-failed`
 */
async function requireHealth(machine: Machine, { transaction, operation }: ActivationRequest): Promise<void> {
  const { health } = machine.policy;
  if (health === undefined || operation !== 'switch') return;
  const { run, clock } = machine;
  const results = await checkHealth(
    { run, clock, failedBefore: transaction.known.failedUnitsBefore },
    health,
  );
  transaction.learn({ health: results });
  const bad = results.filter((r) => !r.ok);
  if (bad.length === 0) return;
  const detail = bad
    .map(({ check, detail: why }) => `${check}${why === undefined ? '' : ` (${why})`}`)
    .join('; ');
  throw new NixmakerError('health-failed', `not so: ${detail}`);
}

/** Raises the floor, then commits: between the two, the run is taken up again and commits once more. */
async function commit(machine: Machine, { transaction, operation }: ActivationRequest): Promise<Receipt> {
  const { sequence, manifestDigest, createdAt } = transaction.known;
  if (sequence !== undefined && manifestDigest !== undefined && createdAt !== undefined) {
    await raiseFloor(machine.floorDirectory, { schema: 1, sequence, manifestDigest, createdAt });
  }
  return transaction.end('committed', { detail: sentence(operation) });
}

function sentence(operation: Operation): string {
  if (operation === 'boot') return 'The new system is installed and will run from the next start on.';
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
  if (result.outcome === 'reboot-needed') {
    transaction.notice('The machine must be restarted to run the new system.');
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
