/** One user’s session: shows what there is to tell and to ask, as it comes, and takes it off the screen when it is settled. */
import { complaintOf } from '../../core/complaint.ts';
import type { Settings } from '../../core/policy/settings.ts';
import type { Clock, EventSink, ProcessRunner } from '../../core/ports.ts';
import { findNotices, type Notice } from '../../core/run/notices.ts';
import { failedText, type Language, noticeText } from '../../report/desktop-words.ts';
import { screenFiles } from '../../state/screen.ts';
import { onEveryChange } from '../inspect/follow.ts';
import { screenDirectoryOf } from '../machine/machine.ts';
import { carryOut } from './answers.ts';
import { readScreenFacts } from './facts.ts';
import { showNotice } from './notify-send.ts';
import { Told } from './told.ts';

export interface Session {
  readonly settings: Settings;
  readonly run: ProcessRunner;
  readonly clock: Clock;
  readonly emit: EventSink;
  readonly language: Language;
  /** The user’s own, for what has been told. */
  readonly stateDirectory: string;
}

/**
 * Runs until the signal. Notices are shown side by side: none waits for the answer to another.
 * @throws NixmakerError `io-error` if nothing can be shown; systemd starts us again
 */
export async function watchScreen(session: Session, signal: AbortSignal): Promise<void> {
  const { settings, clock } = session;
  const told = await Told.open(session.stateDirectory);
  const shown = new Map<string, AbortController>();
  const failed = new AbortController();
  const show = async (notice: Notice, { signal }: AbortController) => {
    try {
      await showAndAnswer(session, notice, signal);
      if (notice.answers.length === 0) await told.add(notice.id);
    } catch (error) {
      failed.abort(error);
    }
  };
  const also = screenFiles(screenDirectoryOf(settings));
  const either = AbortSignal.any([signal, failed.signal]);
  await onEveryChange(settings, {
    signal: either,
    also,
    call: async () => {
      const notices = findNotices(await readScreenFacts(settings, clock));
      closeSettled(shown, notices);
      for (const notice of notices) {
        if (shown.has(notice.id) || told.has(notice.id)) continue;
        const until = new AbortController();
        shown.set(notice.id, until);
        void show(notice, until);
      }
    },
  });
  closeSettled(shown, []);
  failed.signal.throwIfAborted();
}

/** What is no longer so leaves the screen. */
function closeSettled(shown: Map<string, AbortController>, notices: readonly Notice[]): void {
  const current = new Set(notices.map(({ id }) => id));
  for (const [id, until] of shown) {
    if (current.has(id)) continue;
    until.abort();
    shown.delete(id);
  }
}

/** Asks again if what was asked for could not be done: the question still stands, and each time takes a person’s answer. */
async function showAndAnswer(
  { run, emit, language }: Session,
  notice: Notice,
  signal: AbortSignal,
): Promise<void> {
  const { kind, id } = notice;
  const text = noticeText(notice, language);
  while (!signal.aborted) {
    emit({ event: 'notice-shown', kind, id });
    const answer = await showNotice(run, text, { kind, signal });
    if (answer === undefined) return;
    emit({ event: 'notice-answered', kind, id, answer });
    const result = await carryOut(run, answer, notice);
    if (result === undefined || result.exitCode === 0) return;
    emit({ event: 'answer-failed', level: 'warn', answer, detail: complaintOf(result, 'it failed') });
    await showNotice(run, { title: text.title, body: failedText(language), answers: [] });
  }
}
