/** Any code point that is not half of a pair, as a unit of `fc.string`. */
import fc from 'fast-check';

const firstHalf = 0xd800;
const halves = 0x800;

/**
 * Draws exactly what `unit: 'binary'` does. That one makes a table of all 1,112,064 characters first, to find the number of a few:
 * three seconds in every process.
 */
export const anyCharacter = fc.nat({ max: 0x10ffff - halves }).map(
  (number) => String.fromCodePoint(number < firstHalf ? number : number + halves),
  (character) => {
    const code = typeof character === 'string' ? character.codePointAt(0) : undefined;
    if (code === undefined || character !== String.fromCodePoint(code)) throw new Error('not one character');
    return code < firstHalf ? code : code - halves;
  },
);
