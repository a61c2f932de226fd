/** A command as a person writes it in one option: words, as a shell splits them, and nothing else that a shell does. */

const word = /(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+/gsy;
const piece = /\\(.)|'([^']*)'|"((?:[^"\\]|\\.)*)"|([^\s'"\\]+)/gs;

/** Within double quotes a backslash escapes only itself and a double quote. */
const unescaped = (text: string): string => text.replace(/\\(["\\])/g, '$1');

/**
 * Spaces separate words; quotes and backslashes keep them together, as in git’s `split_cmdline`. Nothing is expanded.
 * @returns undefined if a quote is left open or a backslash escapes nothing
 */
export function splitWords(text: string): string[] | undefined {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    at += /^\s*/.exec(text.slice(at))?.[0].length ?? 0;
    if (at === text.length) return words;
    word.lastIndex = at;
    const found = word.exec(text)?.[0];
    if (found === undefined) return undefined;
    words.push(
      found.replace(
        piece,
        (_, escaped, single, double, plain) =>
          escaped ?? single ?? (double === undefined ? undefined : unescaped(double)) ?? plain,
      ),
    );
    at += found.length;
  }
}
