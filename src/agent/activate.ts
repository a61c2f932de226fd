/**
 * From a valid toplevel to a committed generation, or back to where we were.
 *
 * Invariant: from `profile-set` on, every transition is written before its effect, together with what to go back
 * to; and whatever happens, the old system keeps its generation and its boot entry until the new one is committed.
 */
import type { SwitchResult, SwitchVerb } from '../activation/switch.ts';
import { guardSystem, runSwitch } from '../activation/switch.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import type { Receipt } from '../core/receipt.ts';
import type { Operation } from '../core/schema.ts';
import type { StorePath } from '../core/store-path.ts';
import {
  deleteGeneration,
  type ProfileTarget,
  readProfile,
  readSystemLink,
  setProfile,
  switchGeneration,
} from '../nix/target.ts';
import type { Machine } from './machine.ts';
import type { Transaction } from './transaction.ts';

export interface ActivationRequest {
  readonly transaction: Transaction;
  readonly toplevel: StorePath;
  readonly operation: Operation;
  /** Called once the system is in place and before the commit is recorded: raises the floor. */
  readonly beforeCommit: () => Promise<void>;
}

/** What to return to. */
interface Before {
  readonly profile: ProfileTarget;
  readonly current: StorePath | undefined;
}

export async function activate(machine: Machine, request: ActivationRequest): Promise<Receipt> {
  const { transaction, toplevel, operation } = request;
  await guardSystem(toplevel);
  if (operation === 'test' || operation === 'dry-activate') return tryOut(machine, request);

  const before = await lookAround(machine);
  transaction.learn({
    toplevel,
    ...(before.profile.toplevel === undefined ? {} : { previousToplevel: before.profile.toplevel }),
  });
  await transaction.advance('profile-set');
  try {
    await setProfile(machine.nix, { profile: machine.settings.profile, toplevel });
    const { generation } = await readProfile(machine.settings.profile);
    if (generation !== undefined) transaction.learn({ generation });

    await transaction.advance('boot-entry');
    accept(transaction, await verb(machine, request, 'boot'), ['done']);
    if (operation === 'switch') {
      await transaction.advance('switched');
      accept(transaction, await verb(machine, request, 'switch'), ['done', 'units-failed', 'reboot-needed']);
    }
    await transaction.advance('healthy');
  } catch (error) {
    return rollBack(machine, request, { before, cause: error });
  }
  await request.beforeCommit();
  return transaction.end('committed', { detail: sentence(operation) });
}

function sentence(operation: Operation): string {
  if (operation === 'boot') return 'The new system is installed and will run from the next start on.';
  if (operation === 'switch') return 'The new system is installed and running.';
  if (operation === 'test') return 'The new system is running until the next start; it is not installed.';
  return 'Nothing was changed; the messages below say what a switch would do.';
}

async function lookAround({ settings }: Machine): Promise<Before> {
  return {
    profile: await readProfile(settings.profile),
    current: await readSystemLink(settings.currentSystem),
  };
}

function verb(
  machine: Machine,
  { transaction, toplevel }: ActivationRequest,
  name: SwitchVerb,
): Promise<SwitchResult> {
  const { run, clock, settings } = machine;
  return runSwitch(
    { run, clock, mode: settings.activation, transaction: transaction.id },
    { toplevel, verb: name },
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
    throw new NixmakerError(
      'activation-failed',
      `switch-to-configuration: ${result.outcome} (exit ${result.exitCode ?? 'none'})${last === undefined ? '' : `: ${messageOf(last)}`}`,
    );
  }
  if (result.outcome === 'units-failed')
    transaction.notice('The system was switched, but some units failed: see `systemctl --failed`.');
  if (result.outcome === 'reboot-needed')
    transaction.notice('The machine must be restarted to run the new system.');
}

/** `test` and `dry-activate` touch neither profile nor boot loader, and leave the floor where it is. */
async function tryOut(machine: Machine, request: ActivationRequest): Promise<Receipt> {
  const { transaction, toplevel, operation } = request;
  const current = await readSystemLink(machine.settings.currentSystem);
  transaction.learn({ toplevel, ...(current === undefined ? {} : { previousToplevel: current }) });
  await transaction.advance('switched');
  try {
    const name = operation === 'test' ? 'test' : 'dry-activate';
    accept(transaction, await verb(machine, request, name), ['done', 'units-failed']);
    await transaction.advance('healthy');
  } catch (error) {
    if (operation === 'dry-activate' || current === undefined) {
      return transaction.end('failed', { code: 'activation-failed', detail: messageOf(error) });
    }
    return rollBack(machine, request, {
      before: { profile: { generation: undefined, toplevel: undefined }, current },
      cause: error,
    });
  }
  return transaction.end('committed', { detail: sentence(operation) });
}

/**
 * Puts back what was there: the remembered generation (never "the one before", which may be another), its boot
 * entry, and, where a switch had begun, its running state. The bad generation is deleted: a broken one can make
 * later boot loader installations fail.
 */
async function rollBack(
  machine: Machine,
  request: ActivationRequest,
  { before, cause }: { before: Before; cause: unknown },
): Promise<Receipt> {
  const { transaction } = request;
  const why = cause instanceof NixmakerError ? cause.detail : messageOf(cause);
  const switched = transaction.state === 'switched';
  transaction.emit('rolling-back', { reason: why, to: before.profile.toplevel ?? before.current }, 'error');
  const faults = await undo(machine, request, { before, switched });
  if (faults.length > 0) {
    return transaction.end('failed', {
      code: 'rollback-failed',
      detail: `${why}; putting back: ${faults.join('; ')}`,
    });
  }
  return transaction.end('rolled-back', { code: 'activation-failed', detail: why });
}

/** Each step is tried whatever became of the one before. @returns what went wrong */
async function undo(
  machine: Machine,
  { transaction, toplevel }: ActivationRequest,
  { before, switched }: { before: Before; switched: boolean },
): Promise<string[]> {
  const faults: string[] = [];
  const attempt = async (step: () => Promise<unknown>) => {
    try {
      await step();
    } catch (error) {
      faults.push(messageOf(error));
    }
  };
  const run = (system: StorePath, name: SwitchVerb) => async () => {
    const request: ActivationRequest = {
      transaction,
      toplevel: system,
      operation: 'switch',
      beforeCommit: async () => undefined,
    };
    const result = await verb(machine, request, name);
    const good = result.outcome === 'done' || (name !== 'boot' && result.outcome === 'units-failed');
    if (!good) throw new NixmakerError('rollback-failed', `${system} ${name}: ${result.outcome}`);
  };
  const { profile } = machine.settings;
  const { generation, toplevel: previous } = before.profile;
  if (previous !== undefined && generation !== undefined) {
    const bad = (await readProfile(profile)).generation;
    await attempt(() => switchGeneration(machine.nix, { profile, generation }));
    if (bad !== undefined && bad !== generation)
      await attempt(() => deleteGeneration(machine.nix, { profile, generation: bad }));
    await attempt(run(previous, 'boot'));
  }
  if (switched && before.current !== undefined && before.current !== toplevel) {
    await attempt(run(before.current, before.profile.toplevel === before.current ? 'switch' : 'test'));
  }
  if (previous === undefined && before.current === undefined) faults.push('there was no system before');
  return faults;
}
