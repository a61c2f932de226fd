/**
 * The agent as a systemd service: reports what it is doing, that it is alive, and, for each run that ended, one journal entry with fields
 * of its own. Node.js has no datagram sockets of the kind that systemd listens on, so the programs of systemd and util-linux do it; nothing
 * in a run depends on them.
 */

import { entryOf } from '../../core/catalogue.ts';
import { complaintOf } from '../../core/complaint.ts';
import { printable } from '../../core/errors.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { outcomeText } from '../../core/run/state-words.ts';
import { messageIdOf } from '../../report/message-id.ts';
import type { Machine } from '../machine/machine.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface Service {
  status(text: string): Promise<void>;
  close(): void;
}

/** Milliseconds; a program that hangs must not hold up the agent. */
const deadline = 10_000;

/**
 * Sends READY at once: nothing that waits for the service should wait for a resumed run. With a watchdog (sd_watchdog_enabled(3)), repeats
 * it at half its interval, from the loop that does all the work.
 */
export async function enterService(
  machine: Pick<Machine, 'emit' | 'run'>,
  env: Environment = process.env,
): Promise<Service> {
  if (env.NOTIFY_SOCKET === undefined) return { status: async () => undefined, close: () => undefined };
  const notify = async (...args: readonly string[]) => {
    const result = await machine.run('systemd-notify', args, { timeout: deadline });
    if (result.exitCode !== 0)
      machine.emit({
        event: 'notify-failed',
        level: 'warn',
        detail: complaintOf(result, ''),
      });
  };
  await notify('--ready', '--status=Starting');
  const watchdog = Number(env.WATCHDOG_USEC) / 1000;
  const timer = watchdog > 0 ? setInterval(() => void notify('WATCHDOG=1'), watchdog / 2) : undefined;
  return {
    status: (text) => notify(`--status=${printable(text)}`),
    close: () => clearInterval(timer),
  };
}

/** On one line, for `systemctl status`. */
export function endingText({ state, code, sequence, source }: Receipt): string {
  const which = sequence === undefined ? source : `sequence ${sequence}`;
  const ending = `${which}: ${outcomeText({ state, code })}`;
  return code === undefined ? ending : `${ending}. ${entryOf(code).what}`;
}

/** One entry with a MESSAGE_ID, if the journal is listening. (logger(1), --journald) */
export async function tellJournal(
  machine: Pick<Machine, 'emit' | 'run'>,
  receipt: Receipt,
  env: Environment = process.env,
): Promise<void> {
  if (env.JOURNAL_STREAM === undefined) return;
  const { state, code } = receipt;
  const isGood = state === 'committed' || state === 'pending' || state === 'staged' || state === 'superseded';
  const ending = state === 'staged' ? state : (code ?? (isGood ? state : undefined));
  if (ending === undefined) return;
  const fields = [
    `MESSAGE_ID=${messageIdOf(ending)}`,
    `MESSAGE=nixmaker: ${printable(endingText(receipt))}`,
    `PRIORITY=${code === undefined || state === 'staged' ? 6 : entryOf(code).touched === true ? 3 : 4}`,
    'SYSLOG_IDENTIFIER=nixmaker',
    `NIXMAKER_TRANSACTION=${receipt.transaction}`,
    `NIXMAKER_STATE=${state}`,
    `NIXMAKER_CODE=${code ?? ''}`,
    `NIXMAKER_SEQUENCE=${receipt.sequence ?? ''}`,
    `NIXMAKER_SOURCE=${printable(receipt.source)}`,
    `NIXMAKER_DETAIL=${printable(receipt.detail ?? '')}`,
  ];
  const result = await machine.run('logger', ['--journald'], {
    input: `${fields.join('\n')}\n`,
    timeout: deadline,
  });
  if (result.exitCode !== 0)
    machine.emit({
      event: 'journal-entry-failed',
      level: 'warn',
      detail: complaintOf(result, ''),
    });
}
