/** Progress counted in bytes: a bar on a terminal, a line now and then everywhere else. Always on standard error. */
import { type Lines, lines } from '../core/lines.ts';
import { sizeText } from '../core/size.ts';
import type { Terminal } from './host-progress.ts';

export interface ByteStep {
  /** What is being done, and to what: `web: copying`. */
  readonly title: string;
  readonly done: number;
  readonly total: number;
}

export interface ByteProgress {
  step(step: ByteStep): void;
  /** Ends the line that is being drawn. */
  end(): void;
}

/** Between redraws on a terminal, and between lines elsewhere. Milliseconds. */
const drawEvery = 100;
const lineEvery = 10_000;
/** Longest first, as far as there is room. */
const barCells = [24, 12, 0];
/** For a line in a log. */
const lineWidth = 79;

interface DrawnTerminal extends Pick<Terminal, 'isTTY' | 'write'> {
  /** The current width: a wrapped line can’t be redrawn. */
  readonly columns: () => number;
  /** Draws a line over the previous one. */
  readonly redraw: (line: Lines) => void;
}

/** @param now milliseconds on a clock that never jumps */
export function makeByteProgress(
  { isTTY, write, redraw, columns }: DrawnTerminal,
  now: () => number,
): ByteProgress {
  const started = now();
  let last = Number.NEGATIVE_INFINITY;
  let title = '';
  let drawn = false;
  const draw = (step: ByteStep) => {
    redraw(lines`${describeStep(step, { elapsed: now() - started, width: columns() - 1 })}`);
    drawn = true;
  };
  return {
    step: (step) => {
      const due = now() - last >= (isTTY ? drawEvery : lineEvery);
      if (!due && step.title === title && (!isTTY || step.done < step.total)) return;
      last = now();
      if (isTTY) draw(step);
      else write(lines`${describeStep(step, { elapsed: now() - started, width: lineWidth })}\n`);
      title = step.title;
    },
    end: () => {
      if (drawn) write(lines`\n`);
      drawn = false;
    },
  };
}

interface Drawn {
  /** Milliseconds. */
  readonly elapsed: number;
  /** Characters the line may have. */
  readonly width: number;
}

/** `web: copying [######......] 25 %, 1 GiB of 4 GiB, 2 min left`; if it does not fit, the bar goes first, then the end of the title. */
export function describeStep({ title, done, total }: ByteStep, { elapsed, width }: Drawn): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const figures = `${Math.floor(share * 100)} %, ${sizeText(done)} of ${sizeText(total)}${timeLeft(share, elapsed)}`;
  const room = width - title.length - figures.length - 2;
  const cells = barCells.find((count) => count === 0 || count + 2 <= room) ?? 0;
  const full = Math.round(share * cells);
  const bar = cells === 0 ? '' : `[${'#'.repeat(full)}${'.'.repeat(cells - full)}] `;
  const name = room < 0 ? `${title.slice(0, Math.max(0, title.length + room - 3))}...` : title;
  return `${name} ${bar}${figures}`;
}

/** Says nothing until there is something to go by. */
function timeLeft(share: number, elapsed: number): string {
  if (share === 0 || share === 1 || elapsed < 1000) return '';
  const seconds = Math.ceil(((elapsed / share) * (1 - share)) / 1000);
  return seconds < 60 ? `, ${seconds} s left` : `, ${Math.ceil(seconds / 60)} min left`;
}
