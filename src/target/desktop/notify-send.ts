/** Shows notices by the session’s notification service (Desktop Notifications Specification), through notify-send(1). */
import { complaintOf } from '../../core/complaint.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { ProcessRunner } from '../../core/ports.ts';
import type { Answer, NoticeKind } from '../../core/run/notices.ts';
import type { NoticeText } from '../../report/desktop-words.ts';

const urgent: ReadonlySet<NoticeKind | undefined> = new Set(['keep', 'rolled-back', 'not-installed']);

/**
 * Waits for an answer if there is something to answer.
 * @param signal takes the notice off the screen: notify-send does that on SIGINT
 * @returns undefined if the notice was dismissed, or is news
 * @throws NixmakerError `io-error` if nothing can be shown, as long as the session has no notification service
 */
export async function showNotice(
  run: ProcessRunner,
  { title, body, answers }: NoticeText,
  { kind, signal }: { readonly kind?: NoticeKind; readonly signal?: AbortSignal } = {},
): Promise<Answer | undefined> {
  const asks = answers.length > 0;
  const result = await run(
    'notify-send',
    [
      '--app-name=nixmaker',
      `--urgency=${urgent.has(kind) ? 'critical' : 'normal'}`,
      // 0: a question stays until it is answered or settled.
      ...(asks ? ['--expire-time=0'] : []),
      ...answers.map(([answer, text]) => `--action=${answer}=${text}`),
      '--',
      title,
      body,
    ],
    { endSignal: 'SIGINT', ...(signal === undefined ? {} : { signal }) },
  );
  if (signal?.aborted === true) return undefined;
  if (result.exitCode !== 0)
    throw new NixmakerError('io-error', `notify-send: ${complaintOf(result, 'it showed nothing')}`);
  const said = result.stdout.trim();
  return answers.find(([answer]) => answer === said)?.[0];
}
