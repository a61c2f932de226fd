/**
 * Colours with a meaning, as marks in lines: the terminal’s writer decides what to show. A mark is a noncharacter (Unicode 23.7),
 * which `printable` makes visible, so no field from outside can have one.
 */
import { foldWords } from './fold.ts';
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

const shownLength = (text: string): number => withoutMarks(text).length;

/** Lines longer than `width` continue on the next, indented alike. */
export const folded = (text: string, width: number): string =>
  text
    .split('\n')
    .map((line) => {
      if (shownLength(line) <= width) return line;
      const indent = /^ */.exec(line)?.[0] ?? '';
      const parts = foldWords(line.slice(indent.length), width - indent.length, shownLength);
      return parts.map((part) => `${indent}${part}`).join('\n');
    })
    .join('\n');
