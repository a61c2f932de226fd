/** Runs a verb of a system’s switch-to-configuration on behalf of a run. */
import { runSwitch, type SwitchResult, type SwitchVerb } from '../../activation/switch.ts';
import { messageOf, NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { reasonIn } from '../../core/run/switch-outcome.ts';
import type { StorePath } from '../../core/store-path.ts';
import type { Machine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';

/** Runs a verb of the request's system. */
export function switchVerb(
  { run, clock, settings }: Pick<Machine, 'run' | 'clock' | 'settings'>,
  { transaction, toplevel }: { readonly transaction: Pick<Transaction, 'id'>; readonly toplevel: StorePath },
  verb: SwitchVerb,
): Promise<SwitchResult> {
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

export interface Required {
  /** The program and its verb, for people. */
  readonly what: string;
  readonly code: ReasonCode;
  /** If unset, only `done`. */
  readonly good?: readonly SwitchResult['outcome'][];
}

/** @throws NixmakerError of that code, with the outcome and the reason that the program gave */
export function requireDone(
  { outcome, output }: SwitchResult,
  { what, code, good = ['done'] }: Required,
): void {
  if (good.includes(outcome)) return;
  const said = reasonIn(output);
  throw new NixmakerError(code, `${what}: ${outcome}${said === undefined ? '' : `: ${messageOf(said)}`}`);
}

/** Lets through the outcomes that count as success, with a notice if a person should know. */
export function accept(
  transaction: Transaction,
  result: SwitchResult,
  good: readonly SwitchResult['outcome'][],
): void {
  transaction.learn({ output: result.output });
  if (!good.includes(result.outcome)) {
    const reason = reasonIn(result.output);
    const said = reason === undefined ? '' : `: ${messageOf(reason)}`;
    const exit = result.exitCode ?? 'none';
    throw new NixmakerError(
      'activation-failed',
      `switch-to-configuration: ${result.outcome} (exit ${exit})${said}`,
    );
  }
  if (result.outcome === 'units-failed') {
    transaction.notice('The switch was made, but some units failed; see `systemctl --failed`.');
  }
}
