/** A local word on an accepted bundle that is in the store, before anything on the machine is changed. */
import { runOutside } from '../../activation/outside.ts';
import { exitText } from '../../core/complaint.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import type { Machine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';

/** Asks the policy’s program; exit code 0 means yes. @throws NixmakerError `not-approved` */
export async function requireApproval(
  { policy, run, settings }: Pick<Machine, 'policy' | 'run' | 'settings'>,
  transaction: Transaction,
): Promise<void> {
  const { approval } = policy;
  if (approval === undefined) return;
  const { host = '', sequence = '', toplevel = '', operation = '' } = transaction.known;
  const env = {
    NIXMAKER_HOST: host,
    NIXMAKER_SEQUENCE: String(sequence),
    NIXMAKER_TOPLEVEL: toplevel,
    NIXMAKER_OPERATION: operation,
  };
  transaction.emit('approval-asked', { command: approval.command });
  const [program, ...args] = approval.command;
  const result = await (settings.activation === 'direct'
    ? run(program, args, { env, cwd: '/', timeout: approval.timeout * 1000 })
    : runOutside(run, {
        unit: `nixmaker-approval-${transaction.id}-${process.pid}`,
        seconds: approval.timeout,
        argv: approval.command,
        env,
      }));
  if (result.exitCode === 0) return;
  const said = result.startError ?? result.stderrTail.at(-1) ?? result.stdout.trim().split('\n').at(-1) ?? '';
  const how = result.timedOut ? 'gave no answer in time' : `refused (${exitText(result.exitCode)})`;
  throw new NixmakerError('not-approved', `${program} ${how}${said === '' ? '' : `: ${messageOf(said)}`}`);
}
