/**
 * The operator’s programs in `/etc/nixmaker/hooks.d`, run by the agent after each run, with the agent’s few rights. Nothing depends on what
 * they do: a hook can report, not decide (`health`, `approval` and `receipts.notify` are for that).
 *
 * Threat: a hook that somebody else can write. Only a program that is owned by root or the agent’s own user, and that nobody else may
 * write, is run.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { exitText } from '../../core/complaint.ts';
import { messageOf } from '../../core/errors.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { namesIn } from '../../files/read.ts';
import type { Machine } from '../machine/machine.ts';

/** Milliseconds a hook may take. */
const deadline = 30_000;

/** The names that run-parts(8) and systemd accept: no dots, so that editors’ backup copies are ignored. */
const hookName = /^[a-zA-Z0-9_-]+$/;

export async function runHooks(
  machine: Pick<Machine, 'emit' | 'run' | 'settings'>,
  receipt: Receipt,
): Promise<void> {
  const folder = machine.settings.hooksDirectory;
  for (const name of (await namesIn(folder)).filter((n) => hookName.test(n)).sort()) {
    const problem = await runHook(machine, join(folder, name), receipt);
    if (problem !== undefined)
      machine.emit({
        event: 'hook-failed',
        level: 'warn',
        hook: name,
        detail: problem,
        transaction: receipt.transaction,
      });
  }
}

async function runHook(
  machine: Pick<Machine, 'run'>,
  path: string,
  receipt: Receipt,
): Promise<string | undefined> {
  try {
    const { uid, mode } = await stat(path);
    const mine = process.getuid?.() ?? 0;
    if (uid !== 0 && uid !== mine) return `it belongs to user ${uid}, not to root`;
    if ((mode & 0o022) !== 0) return 'others can write to it';
    const result = await machine.run(path, [], { timeout: deadline, cwd: '/', env: environmentOf(receipt) });
    if (result.timedOut) return `it did not finish within ${deadline / 1000} s`;
    if (result.exitCode === 0) return undefined;
    return messageOf(result.startError ?? `${exitText(result.exitCode)}: ${result.stderrTail.at(-1) ?? ''}`);
  } catch (error) {
    return messageOf(error);
  }
}

/** Documented in docs/operations.md. */
function environmentOf(receipt: Receipt): Record<string, string> {
  return {
    NIXMAKER_EVENT: 'ended',
    NIXMAKER_TRANSACTION: receipt.transaction,
    NIXMAKER_STATE: receipt.state,
    NIXMAKER_CODE: receipt.code ?? '',
    NIXMAKER_DETAIL: receipt.detail ?? '',
    NIXMAKER_HOST: receipt.host ?? '',
    NIXMAKER_SEQUENCE: String(receipt.sequence ?? ''),
    NIXMAKER_OPERATION: receipt.operation ?? '',
    NIXMAKER_TOPLEVEL: receipt.toplevel ?? '',
    NIXMAKER_PREVIOUS: receipt.previousToplevel ?? '',
    NIXMAKER_SOURCE: receipt.source,
  };
}
