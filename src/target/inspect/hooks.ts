/** Whether root could run the policy’s hooks, and what became of `hooks.after` the last time. Reads only. */
import { programFault } from '../../activation/program.ts';
import { hookNames } from '../../core/policy/hooks.ts';
import { hookText } from '../../core/run/hooks.ts';
import { readAfterHook } from '../../state/after-hook.ts';
import type { Machine } from '../machine/machine.ts';
import { bad, type Found, look, ok } from './found.ts';

export async function checkHooks({
  policy,
  floorDirectory,
}: Pick<Machine, 'policy' | 'floorDirectory'>): Promise<Found> {
  const named = hookNames.filter((name) => policy.hooks[name] !== undefined);
  if (named.length === 0) return ok('the policy names none');
  const faults = new Map<string, string>();
  for (const name of named) {
    const fault = await programFault(policy.hooks[name]?.command[0] ?? '');
    if (fault !== undefined) faults.set(name, fault);
  }
  const what = [...faults].map(([name, fault]) => `hooks.${name}: ${fault}`).join('; ');
  const next =
    'Correct the policy, or make it an executable file that only root can write, in folders that only root can write.';
  if (faults.has('before')) return bad(what, next);
  if (faults.size > 0) return look(what, next);
  const last = await readAfterHook(floorDirectory);
  if (policy.hooks.after !== undefined && last?.result.ok === false)
    return look(
      `after the last commit, ${hookText(last.result)}`,
      'See `journalctl -u "nixmaker-hook-*"`. It runs again after the next commit.',
    );
  return ok(named.map((name) => `hooks.${name}`).join(', '));
}
