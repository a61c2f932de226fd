/** Text as an attacker writes it: it acts on a terminal, hides, turns round, or looks like a line of ours. */
import assert from 'node:assert/strict';

/** Screen cleared, title set (C0 and C1), direction turned, a tag and a variation selector that nobody sees, lines of its own. */
export const hostile =
  'a\u001b[2Jb\u001b]0;t\u0007\u009b1mc\u202ed\u2066\u061c\u200f\u{e0041}\u{e0001}\u{e0100}\ufff9\u2028\u0085\r\nforged: yes';

/** As a file may be named. */
export const hostileName = hostile;

/** What a terminal or a reader would not show as it is; newlines are for whoever prints. */
const unseen = /(?!\n)\p{Cc}|\p{Cf}|\p{Cs}|\p{Zl}|\p{Zp}|\p{Variation_Selector}/u;

/** Nothing that acts or hides, and no line that a field has made. */
export function assertHarmless(output: string, what: string): void {
  const found = unseen.exec(output);
  assert.equal(
    found,
    null,
    `${what}: U+${found?.[0].codePointAt(0)?.toString(16)} in ${JSON.stringify(output)}`,
  );
  assert.doesNotMatch(output, /^forged: yes/m, what);
}
