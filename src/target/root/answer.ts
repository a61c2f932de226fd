/** The answer to what `nixmaker ask` asks (ask.ts). */
import { NixmakerError } from '../../core/errors.ts';
import { readQuestion, writeAnswer } from '../../state/screen.ts';
import { type RootMachine, screenDirectoryOf } from '../machine/machine.ts';

/**
 * @param id the question’s, as whoever answers saw it: what they have not seen they do not approve. Undefined: the one that is asked
 * @throws NixmakerError `nothing-asked`
 */
export async function answerQuestion(
  machine: Pick<RootMachine, 'bootId' | 'clock' | 'settings'>,
  { id, approved }: { readonly id: string | undefined; readonly approved: boolean },
): Promise<number | undefined> {
  const folder = screenDirectoryOf(machine.settings);
  const question = await readQuestion(folder);
  const isAsked =
    question !== undefined && question.bootId === machine.bootId && machine.clock.uptime() < question.until;
  if (!isAsked) throw new NixmakerError('nothing-asked', 'no question is being asked');
  if (id !== undefined && id !== question.id)
    throw new NixmakerError('nothing-asked', `${id} is not the question being asked`);
  await writeAnswer(folder, { schema: 1, id: question.id, approved });
  return question.sequence;
}
