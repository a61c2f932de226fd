/**
 * What an answer sets off. The user’s own process has no rights: it asks systemd to start a unit of root’s, and polkit decides whether
 * this user may (systemd/polkit).
 */
import type { CommandResult, ProcessRunner } from '../../core/ports.ts';
import type { Answer, Notice } from '../../core/run/notices.ts';

/** Undefined if there is nothing to do. */
export function commandFor(answer: Answer, { id }: Pick<Notice, 'id'>): readonly string[] | undefined {
  const [, subject = ''] = id.split(' ');
  switch (answer) {
    // As for a person at a terminal: inhibitor locks are respected (systemctl(1)).
    case 'restart':
      return ['systemctl', 'reboot', '--check-inhibitors=yes'];
    case 'keep':
      return ['systemctl', 'start', 'nixmaker-keep.service'];
    case 'approve':
      return ['systemctl', 'start', `nixmaker-approve@${subject}.service`];
    case 'refuse':
      return ['systemctl', 'start', `nixmaker-refuse@${subject}.service`];
    case 'later':
      return undefined;
  }
}

/** @returns undefined if there was nothing to do */
export async function carryOut(
  run: ProcessRunner,
  answer: Answer,
  notice: Pick<Notice, 'id'>,
): Promise<CommandResult | undefined> {
  const command = commandFor(answer, notice);
  if (command === undefined) return undefined;
  const [program = '', ...args] = command;
  return run(program, args);
}
