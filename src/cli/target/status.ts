import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { joined, type Lines, lines } from '../../core/lines.ts';
import { neededText } from '../../core/release/parts.ts';
import { outcomeText } from '../../core/run/state-words.ts';
import { sizeText } from '../../core/size.ts';
import { localMinute, localSecond, localTimes } from '../../report/local-time.ts';
import type { Status } from '../../target/inspect/status.ts';
import {
  columns,
  print,
  printAnew,
  printJson,
  printJsonLine,
  runVerb,
  untilStopped,
} from '../terminal/output.ts';

interface StatusOptions {
  readonly settings?: string;
  readonly json?: boolean;
  readonly watch?: boolean;
}

export function defineStatus(program: Command): void {
  program
    .command('status')
    .description('show what runs, what is pending, and how the last bundle ended')
    .option('-w, --watch', 'keep running and show every change')
    .option('--settings <file>', 'settings file')
    .option('--json', 'print JSON; with --watch, one object per line')
    .action((options: StatusOptions) => runVerb(() => status(options), options));
}

async function status({ settings: file, json, watch }: StatusOptions): Promise<number> {
  const { openSettings } = await import('../../target/machine/machine.ts');
  const { readStatus } = await import('../../target/inspect/status.ts');
  const settings = await openSettings(file);
  if (watch !== true) {
    const found = await readStatus(settings);
    if (json === true) printJson(found);
    else print(await statusText(found));
    return exitCodes.done;
  }
  const { onEveryChange } = await import('../../target/inspect/follow.ts');
  await onEveryChange(settings, {
    signal: untilStopped(),
    call: async () => {
      const found = await readStatus(settings);
      if (json === true) return printJsonLine(found);
      printAnew(await statusText(found));
    },
  });
  return exitCodes.done;
}

async function statusText(found: Status): Promise<Lines> {
  const { fields, wrapped } = await import('../../report/tables.ts');
  const { table } = await import('../../report/columns.ts');
  const { catalogue } = await import('../../core/catalogue.ts');
  const { isAtRest } = await import('../../core/run/lifecycle.ts');
  const { unreadText } = await import('../../core/run/journal.ts');
  const { standingText } = await import('../../target/inspect/standing.ts');
  const { stagedText } = await import('../../target/inspect/staged.ts');
  const { waitText } = await import('../../core/run/waits.ts');
  const { last, policy } = found;
  const standing = found.standing === undefined ? undefined : standingText(found.standing);
  const entry =
    // For an unfinished run these would suggest an outcome: that it was put back, for one.
    last?.code !== undefined && last.code in catalogue && isAtRest(last.state)
      ? catalogue[last.code as never]
      : undefined;
  const { what, next } = (entry ?? {}) as { what?: string; next?: string };
  const text = fields([
    ['Running', found.running ?? 'unknown'],
    [
      'Installed',
      found.profile === undefined
        ? 'nothing'
        : found.pending
          ? `${found.profile} (generation ${found.generation})`
          : `the same (generation ${found.generation})`,
    ],
    ['Pending', found.pending ? 'yes: the installed system is not the running one; restart or switch' : 'no'],
    ['Awaiting', found.awaiting?.detail],
    ['Confirm', found.awaiting?.confirmWithin],
    ['Staged', found.staged === undefined ? undefined : stagedText(found.staged)],
    [
      'Restart',
      found.restartChanges.length === 0 ? undefined : `needed for ${found.restartChanges.join(', ')}`,
    ],
    ['Window', policy?.window],
    ['Stuck', standing === undefined ? undefined : `${standing.what}. ${standing.next}`],
    ['Now', progressText(found)],
    ['Last bundle', last === undefined ? 'none yet' : `${outcomeText(last)}: ${last.source}`],
    ['When', last === undefined ? undefined : localSecond(last.at)],
    ['What', what ?? (last?.state === 'committed' ? undefined : (last?.detail as string | undefined))],
    ['Detail', what === undefined ? undefined : (last?.detail as string | undefined)],
    ['Next', next],
    ['Health', found.health],
    [
      'Sequence',
      found.floorLost === undefined
        ? (found.floor?.sequence ?? 'none taken yet')
        : `lost: ${found.floorLost}. Nothing is taken; see \`nixmaker floor adopt --help\``,
    ],
    ['Held', heldText(found)],
    [
      'Keyring',
      found.keyring === undefined
        ? undefined
        : `version ${found.keyring} (used because it is newer than the policy’s)`,
    ],
    ...waitingRows(found, {
      text: (wait) => waitText(wait, localTimes),
      isAtRest: last === undefined || isAtRest(last.state),
    }),
    ['Parts', partsText(found)],
    ['Receipts', receiptsText(found)],
    ['Media', found.media.length === 0 ? undefined : found.media.join(', ')],
    ['Policy', policy?.problem],
    [found.unreadable === found.newer ? 'Journal' : 'Damaged', unreadText(found)],
  ]);
  if (found.disks.length === 0) return wrapped(text);
  // The long ones last: they would push the others off the screen.
  const disks = found.disks.map((d) => [
    sizeText(d.freeBytes),
    sizeText(d.totalBytes),
    d.fileSystem,
    d.mounted,
  ]);
  return joined([wrapped(text), lines`\n`, table(['FREE', 'OF', 'DISK', 'ON'], disks, { width: columns() })]);
}

/** `doctor` finds out what is in the way: it asks as root. */
function receiptsText({ receiptsWaiting: count }: Status): string | undefined {
  if (count === 0) return undefined;
  const wait = count === 1 ? 'one is waiting' : `${count} are waiting`;
  return `${wait} for a medium or a carrier’s folder that root can write to; see \`carriers\` and \`media\` of \`nixmaker doctor\``;
}

function partsText({ parts }: Status): string | undefined {
  if (parts === undefined) return undefined;
  const { sequence, here, paths, needed } = parts;
  const have = `sequence ${sequence} comes on ${parts.of} media; ${here} of ${paths} paths are here`;
  return needed.length === 0 ? have : `${have}; ${neededText(parts)}`;
}

/** With the way out. */
function heldText({ held, heldLost }: Status): string | undefined {
  if (heldLost !== undefined)
    return `unknown: ${heldLost}. Nothing is taken; \`nixmaker release --all\` resets the list`;
  if (held.length === 0) return undefined;
  const each = held.map(({ sequence, since, because }) => {
    return `release ${sequence} (${because}), since ${localMinute(since)}; \`nixmaker release ${sequence}\` frees it`;
  });
  return each.join('; ');
}

/** One per line, with the reason. */
function waitingRows(
  { last, waiting, waits, moreWaits }: Status,
  { text, isAtRest }: { text: (wait: Status['waits'][number]) => string; isAtRest: boolean },
): [string, string][] {
  const named = new Set(waits.map(({ path }) => path));
  const taken = isAtRest ? undefined : last?.source;
  const others = waiting.filter((path) => !named.has(path));
  const lines = [
    ...waits.map(text),
    ...others.map((path) => `${path}: ${path === taken ? 'being taken' : 'not looked at yet'}`),
    ...(moreWaits === 0 ? [] : [`and ${moreWaits} more`]),
  ];
  return lines.length === 0 ? [['Waiting', 'nothing']] : lines.map((line) => ['Waiting', line]);
}

function progressText({ progress }: Status): string | undefined {
  if (progress === undefined) return undefined;
  const { step, done, expected, secondsLeft } = progress;
  const size =
    progress.bytes === undefined || progress.expectedBytes === undefined
      ? ''
      : `, ${sizeText(progress.bytes)} of ${sizeText(progress.expectedBytes)}`;
  const left = secondsLeft === undefined ? '' : `, about ${secondsLeft} s left`;
  return `${step}: ${done} of ${expected} paths${size}${left}`;
}
