/**
 * Colours with a meaning, as marks in lines: the terminal’s writer decides what to show. A mark is a noncharacter (Unicode 23.7),
 * which `printable` makes visible, so no field from outside can have one.
 */
import { joined, type Lines, marked, splitWord } from './lines.ts';

export type Style = 'good' | 'waits' | 'bad' | 'strong';

const marks: Readonly<Record<Style, string>> = {
  good: '\ufdd0',
  waits: '\ufdd1',
  bad: '\ufdd2',
  strong: '\ufdd3',
};
const end = '\ufddf';

/** SGR (ECMA-48, 8.3.117): green, yellow, red, bold. Each also has a word of its own in the text. */
const codes: Readonly<Record<string, string>> = {
  [marks.good]: '\u001b[32m',
  [marks.waits]: '\u001b[33m',
  [marks.bad]: '\u001b[31m',
  [marks.strong]: '\u001b[1m',
  [end]: '\u001b[0m',
};

export const styled = (style: Style | undefined, text: Lines): Lines =>
  style === undefined ? text : joined([marked(marks[style]), text, marked(end)]);

/** The first word of a line only. */
export function styledWord(text: Lines, style: Style): Lines {
  const [word, rest] = splitWord(text);
  return joined([styled(style, word), rest]);
}

/** Text and marks alternating: every second one is a mark. */
export const splitMarks = (text: string): string[] => text.split(/([\ufdd0-\ufddf])/);

export const withoutMarks = (text: string): string =>
  splitMarks(text)
    .filter((_, i) => i % 2 === 0)
    .join('');

/** @param isColoured otherwise marks become nothing */
export const sgrOf = (mark: string, isColoured: boolean): string => (isColoured ? (codes[mark] ?? '') : '');

/**
 * Lines longer than `width` continue on the next, broken between words and indented alike; a longer word stays whole: it is for copying.
 */
export const folded = (text: string, width: number): string =>
  text
    .split('\n')
    .map((line) => (withoutMarks(line).length <= width ? line : foldLine(line, width)))
    .join('\n');

function foldLine(line: string, width: number): string {
  const indent = /^ */.exec(line)?.[0] ?? '';
  const lines: string[] = [];
  let current = indent;
  for (const word of line.slice(indent.length).split(' ')) {
    const isFirst = current === indent;
    if (!isFirst && withoutMarks(current).length + 1 + withoutMarks(word).length > width) {
      lines.push(current);
      current = `${indent}${word}`;
    } else current = isFirst ? `${current}${word}` : `${current} ${word}`;
  }
  return [...lines, current].join('\n');
}
