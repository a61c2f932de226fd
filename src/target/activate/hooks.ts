/**
 * The operator’s programs around an activation, run by root (docs/policy.md). `before` decides; what becomes of the others is only told: at a
 * commit there is nothing left to refuse, and a way back must not depend on a program.
 */
import { runHook } from '../../activation/hook.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import type { HookName } from '../../core/policy/hooks.ts';
import type { ProcessRunner } from '../../core/ports.ts';
import { answerOfBefore, hookEnvironment, hookResultOf, hookText } from '../../core/run/hooks.ts';
import { isLasting } from '../../core/schema.ts';
import { readSystemLink } from '../../nix/profile.ts';
import type { Machine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';

type Needed = Pick<Machine, 'policy' | 'run' | 'settings'>;

/** A person’s signal may be what made it necessary. */
const unstoppable =
  (run: ProcessRunner): ProcessRunner =>
  (program, args, options) =>
    run(program, args, { ...options, signal: new AbortController().signal });

/** What a hook is told about, and by whose id it is named. */
type Hooked = Pick<Transaction, 'id' | 'source' | 'known' | 'emit'>;

/** Undefined if the policy names none. */
export async function runNamed(machine: Needed, { id, source, known, emit }: Hooked, name: HookName) {
  const hook = machine.policy.hooks[name];
  if (hook === undefined) return undefined;
  emit('hook-begins', { hook: name, command: hook.command });
  const running = await readSystemLink(machine.settings.currentSystem);
  const run = name === 'rollBack' ? unstoppable(machine.run) : machine.run;
  const end = await runHook(run, {
    mode: machine.settings.activation,
    name: `${name}-${id}`,
    hook,
    env: hookEnvironment(name, { transaction: id, source, running, known }),
  });
  const result = hookResultOf(name, end);
  emit('hook-ended', result, result.ok ? 'info' : 'warn');
  return { end, result };
}

async function runOf(machine: Needed, transaction: Transaction, name: HookName) {
  const ran = await runNamed(machine, transaction, name);
  if (ran !== undefined) transaction.learn({ hooks: [...(transaction.known.hooks ?? []), ran.result] });
  return ran;
}

/**
 * Asks `before`, immediately before anything is changed. If it says that there is no way back, the release counts as one-way.
 * @throws NixmakerError `not-now`, `hook-failed`
 */
export async function requireBefore(machine: Needed, transaction: Transaction): Promise<void> {
  const ran = await runOf(machine, transaction, 'before');
  if (ran === undefined) return;
  const found = answerOfBefore(ran.end);
  if (found.answer === 'not-now') throw new NixmakerError('not-now', `hooks.before: ${found.detail}`);
  if (found.answer === 'failed') throw new NixmakerError('hook-failed', `hooks.before: ${found.detail}`);
  if (found.answer === 'no-way-back') {
    const { noWayBack } = transaction.known;
    transaction.learn({
      noWayBack: noWayBack === undefined ? found.reason : `${noWayBack}; ${found.reason}`,
    });
  }
}

/** Never throws, and never stops a rollback. */
export async function runRollBackHook(
  machine: Needed,
  { transaction, operation }: { readonly transaction: Transaction; readonly operation: string },
): Promise<void> {
  // `test` and `dry-activate` ask no `before`.
  if (!isLasting(operation)) return;
  try {
    const ran = await runOf(machine, transaction, 'rollBack');
    if (ran?.result.ok === false)
      transaction.notice(`${hookText(ran.result)}. The rollback went on without it.`);
  } catch (error) {
    transaction.notice(`hooks.rollBack failed: ${messageOf(error)}. The rollback went on without it.`);
  }
}
