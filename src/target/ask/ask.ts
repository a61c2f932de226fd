/** How the agent asks root: it writes a request, systemd starts root’s unit, and the agent waits for the answer. */
import { NixmakerError } from '../../core/errors.ts';
import { isRequestThere, type RequestKind, writeRequest } from '../../state/requests.ts';
import type { Machine } from '../machine/machine.ts';

/** Milliseconds between two looks for the answer. */
const pause = 200;

/** Milliseconds. Longer than the deadlines of an approval, two hooks, a switch and its rollback combined. */
export const activationDeadline = 360 * 60_000;

export interface Question<Request, Answer> {
  readonly kind: RequestKind<Request>;
  readonly request: Request;
  readonly attachments?: Parameters<typeof writeRequest>[3];
  /** Looks for the answer; undefined while there is none. */
  readonly answer: () => Promise<Answer | undefined>;
  /** How long root may take. Milliseconds. */
  readonly deadline: number;
  readonly onAsked?: () => void;
  /** Root’s answer is on disk before the request goes. Threat: it can’t be written, on a full disk, and the agent waits for hours. */
  readonly isAnsweredFirst?: boolean;
}

/** @throws NixmakerError `busy` if root has not answered in time, or could not */
export async function ask<Request extends { readonly transaction: string }, Answer>(
  machine: Pick<Machine, 'settings' | 'clock'>,
  {
    kind,
    request,
    attachments,
    answer,
    deadline,
    onAsked,
    isAnsweredFirst = false,
  }: Question<Request, Answer>,
): Promise<Answer> {
  const { clock, settings } = machine;
  await writeRequest(settings.runtimeDirectory, kind, request, attachments);
  onAsked?.();
  const until = clock.monotonic() + deadline;
  while (clock.monotonic() < until) {
    // In this order: it goes after the answer has come.
    const isOver = isAnsweredFirst && !(await isRequestThere(settings.runtimeDirectory, kind, request));
    const found = await answer();
    if (found !== undefined) return found;
    if (isOver)
      throw new NixmakerError(
        'busy',
        'root could not answer; `journalctl -u nixmaker-activate -u nixmaker-repair` says why',
      );
    await clock.sleep(pause);
  }
  throw new NixmakerError('busy', 'no answer from nixmaker-activate.service');
}
