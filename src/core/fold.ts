/** Text broken between words. Pure. */

/**
 * As many words to a line as fit; a longer word stays whole: it is for copying.
 * @param lengthOf how many columns a text takes
 */
export function foldWords(
  text: string,
  width: number,
  lengthOf = ({ length }: string): number => length,
): string[] {
  if (lengthOf(text) <= width) return [text];
  const lines: string[] = [];
  let current = '';
  for (const word of text.split(' ')) {
    if (current !== '' && lengthOf(current) + 1 + lengthOf(word) > width) {
      lines.push(current);
      current = word;
    } else current = current === '' ? word : `${current} ${word}`;
  }
  return [...lines, current];
}
