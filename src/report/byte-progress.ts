/** Progress counted in bytes: a bar on a terminal, a line now and then everywhere else. Always on standard error. */
import { type Lines, lines } from '../core/lines.ts';
import { sizeText } from '../core/size.ts';
import type { Terminal } from './host-progress.ts';

export interface ByteStep {
  /** What is being done, to what: `web: copying`. */
  readonly title: string;
  readonly done: number;
  readonly total: number;
}

export interface ByteProgress {
  step(step: ByteStep): void;
  /** Ends the line that is being drawn. */
  end(): void;
}

/** Between two drawings on a terminal, and two lines elsewhere. Milliseconds. */
const drawEvery = 100;
const lineEvery = 10_000;
const barCells = 24;

interface DrawnTerminal extends Terminal {
  /** Draws a line in the place of the one before. */
  readonly redraw: (line: Lines) => void;
}

/** @param now milliseconds on a clock that never jumps */
export function makeByteProgress({ isTTY, write, redraw }: DrawnTerminal, now: () => number): ByteProgress {
  const started = now();
  let last = Number.NEGATIVE_INFINITY;
  let title = '';
  let drawn = false;
  const draw = (step: ByteStep) => {
    redraw(lines`${describeStep(step, now() - started)}`);
    drawn = true;
  };
  return {
    step: (step) => {
      const due = now() - last >= (isTTY ? drawEvery : lineEvery);
      if (!due && step.title === title && (!isTTY || step.done < step.total)) return;
      last = now();
      if (isTTY) draw(step);
      else write(lines`${describeStep(step, now() - started)}\n`);
      title = step.title;
    },
    end: () => {
      if (drawn) write(lines`\n`);
      drawn = false;
    },
  };
}

/** `web: copying [######……] 25 %, 1 GiB of 4 GiB, 2 min left`; fits 80 columns where names do. */
export function describeStep({ title, done, total }: ByteStep, elapsed: number): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const cells = Math.round(share * barCells);
  const bar = `[${'#'.repeat(cells)}${'.'.repeat(barCells - cells)}]`;
  return `${title} ${bar} ${Math.floor(share * 100)} %, ${sizeText(done)} of ${sizeText(total)}${timeLeft(share, elapsed)}`;
}

/** Nothing is said before there is something to judge by. */
function timeLeft(share: number, elapsed: number): string {
  if (share === 0 || share === 1 || elapsed < 1000) return '';
  const seconds = Math.ceil(((elapsed / share) * (1 - share)) / 1000);
  return seconds < 60 ? `, ${seconds} s left` : `, ${Math.ceil(seconds / 60)} min left`;
}
