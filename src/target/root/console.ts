/** Announces at the machine what became of a medium: journal, console, and a program of the operator’s (a lamp, a beep). */
import { open } from 'node:fs/promises';
import { catalogue } from '../../core/catalogue.ts';
import { exitText } from '../../core/complaint.ts';
import { messageOf, type NixmakerError, printable } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { neededText, type PartsNeeded } from '../../core/release/parts.ts';
import type { ReceiptRun } from '../../core/run/host-receipt.ts';
import { outcomeText } from '../../core/run/state-words.ts';
import type { VisitFile } from '../../state/requests.ts';
import { writeMediumWord } from '../../state/screen.ts';
import { type Machine, screenDirectoryOf } from '../machine/machine.ts';
import type { Place } from '../machine/places.ts';

export interface LastRun {
  readonly run: ReceiptRun;
  /** Whose word it is. */
  readonly says: 'root' | 'agent';
}

/** Why no receipt was due. */
type Without = NonNullable<VisitFile['without']>;

interface Visit {
  readonly place: Place;
  readonly without?: Without;
  /** What became of the last bundle; undefined if there was none. */
  readonly last?: LastRun | undefined;
  /** Why a release for this machine was not even begun with, by the agent’s word. */
  readonly passedOver?: string | undefined;
  /** The media that the release still needs, by the agent’s word. */
  readonly parts?: PartsNeeded | undefined;
  /** Why the receipts could not be written. */
  readonly problem?: NixmakerError | undefined;
}

/** Milliseconds that lighting a lamp may take. */
const deadline = 30_000;

export async function tellPeople(
  machine: Pick<Machine, 'bootId' | 'clock' | 'emit' | 'policy' | 'run' | 'settings'>,
  visit: Visit,
): Promise<void> {
  const text = sentence(visit);
  const { root } = visit.place;
  const event = visit.without === undefined ? 'medium-may-go' : 'medium-without-receipt';
  machine.emit({ event, place: root, text });
  if (visit.place.kind !== 'folder') await tellScreens(machine, visit);
  if (visit.place.kind !== 'folder' && machine.settings.activation === 'systemd') await sayOnConsole(text);
  const notify = machine.policy.receipts.notify;
  if (notify === undefined) return;
  const [program = '', ...args] = notify;
  const run = visit.last?.run;
  const result = await machine.run(program, args, {
    timeout: deadline,
    cwd: '/',
    env: {
      NIXMAKER_PLACE: root,
      NIXMAKER_STATE: run?.state ?? 'nothing-new',
      NIXMAKER_CODE: run?.code ?? '',
      NIXMAKER_SEQUENCE: String(run?.sequence ?? ''),
      NIXMAKER_SAYS: visit.last?.says ?? 'root',
      NIXMAKER_RECEIPTS: visit.without ?? visit.problem?.code ?? 'written',
    },
  });
  if (result.exitCode === 0) return;
  const why = result.startError ?? exitText(result.exitCode);
  machine.emit({ event: 'notify-failed', level: 'warn', program, detail: messageOf(why) });
}

/** For desktops (target/desktop), and whatever else reads it. If it can’t be written, journal and console have it. */
async function tellScreens(
  { bootId, clock, emit, settings }: Pick<Machine, 'bootId' | 'clock' | 'emit' | 'settings'>,
  { place, without, last, parts }: Visit,
): Promise<void> {
  const { transaction, state, code, sequence } = last?.run ?? {};
  const run =
    transaction === undefined || state === undefined
      ? undefined
      : given({ transaction, state, code, sequence });
  const [next] = parts?.needed ?? [];
  const bring = parts === undefined || next === undefined ? undefined : { part: next, of: parts.of };
  const word = {
    schema: 1,
    at: clock.now().toISOString(),
    bootId,
    place: place.root,
    eject: place.kind !== 'own',
  } as const;
  try {
    await writeMediumWord(screenDirectoryOf(settings), { ...word, ...given({ without, bring, run }) });
  } catch (error) {
    emit({ event: 'word-not-written', level: 'warn', detail: messageOf(error) });
  }
}

const withoutTexts: Readonly<Record<Without, string>> = {
  nothing: 'There is nothing for this machine on this medium. You may remove it.',
  unreadable: 'This medium cannot be read. Remove it and use another one.',
  misnamed:
    'A file on this medium may be a bundle with the wrong name: unpack it, or rename it so that it ends in .tar. You may remove the medium.',
  silent: 'The medium has stopped responding. Pull it out and plug it in again, or use another one.',
};

/** What a person at the machine wants to know: what happened, and whether the medium may be removed. */
export function sentence({ place, last, passedOver, problem, without, parts }: Visit): string {
  if (without !== undefined) return withoutTexts[without];
  const more = parts === undefined ? '' : ` ${capital(neededText(parts))}.`;
  const what = `${last === undefined ? describeNone(passedOver) : describeLast(last)}${more}`;
  const waits =
    problem === undefined
      ? ''
      : ` The receipt could not be written (${problem.code}); it waits for the next medium.`;
  if (place.kind === 'folder') return `${what}${waits}`;
  const may = place.kind === 'own' ? 'You may remove the medium.' : 'You may unmount and remove the medium.';
  return `${what}${waits} ${may}`;
}

/** Threat: whoever has brought a release that is refused goes home and believes that it was there already. */
function describeNone(passedOver = ''): string {
  const why = catalogueText(passedOver);
  return why === '' ? 'Nothing new for this machine.' : `A release for this machine was not taken. ${why}`;
}

const capital = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

/** Threat: a compromised agent has root announce that a release is running when it was rolled back. */
function describeLast({ run, says }: LastRun): string {
  if (says === 'root') return describeRun(run);
  const { sequence, state, code } = run;
  const why = code === undefined ? '' : ` ${catalogueText(code)}`;
  return `The agent’s report on ${sequence === undefined ? 'a bundle' : `sequence ${sequence}`}: ${outcomeText({ state, code })}.${why}`;
}

function describeRun(run: ReceiptRun): string {
  const { state, code, rolledBackFrom } = run;
  const which = whatRan(run);
  if (state === 'committed' && rolledBackFrom !== undefined)
    return `${which} is installed and running. Release ${rolledBackFrom}, which ran before, is held.`;
  if (state === 'committed') return `${which} is installed and running.`;
  if (state === 'pending') return `${which} is installed and runs from the next start.`;
  if (state === 'staged') return `${which} is staged: ${stagedTexts[code ?? ''] ?? 'it waits for its time'}.`;
  const why = code === undefined ? '' : ` ${catalogueText(code)}`;
  return `${which}: ${outcomeText({ state, code })}.${why}`;
}

const stagedTexts: Readonly<Record<string, string>> = {
  'outside-window': 'it is installed when the window opens',
  'not-approved': 'it is installed once it is approved',
  'not-now': 'it is installed when the machine says that it may be',
  'hook-failed': 'it is installed once the program that has to agree works again',
  unconfirmed: 'it is installed once the running system is confirmed',
};

function whatRan({ sequence, targetGeneration }: ReceiptRun): string {
  if (sequence !== undefined) return `Sequence ${sequence}`;
  return targetGeneration === undefined ? 'A bundle' : `Generation ${targetGeneration}`;
}

function catalogueText(code: string): string {
  return Object.hasOwn(catalogue, code) ? catalogue[code as keyof typeof catalogue].what : '';
}

/** Without a console the line is lost; the journal has it. */
export async function sayOnConsole(text: string): Promise<void> {
  try {
    const console = await open('/dev/console', 'w');
    await console.writeFile(`\r\nnixmaker: ${printable(text)}\r\n`);
    await console.close();
  } catch {
    // The machine has no console, or it is gone.
  }
}
