/** What the locale can show (locale(7)): outside of UTF-8 our own punctuation is spelt in ASCII. */

/**
 * By the first of the variables that is set, as setlocale(3) reads them; none is the C locale. The journal ($JOURNAL_STREAM,
 * systemd.exec(5)) is UTF-8 whatever a service’s locale is.
 */
export const isUtf8 = (env: NodeJS.ProcessEnv): boolean =>
  env.JOURNAL_STREAM !== undefined || /utf-?8/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || '');

const spelt: Readonly<Record<string, string>> = {
  '‘': "'",
  '’': "'",
  '“': '"',
  '”': '"',
  '…': '...',
  '→': '->',
  '–': '-',
  '−': '-',
  '±': '+/-',
};

// Not a literal: the compiled program is ASCII.
const ours = new RegExp(`[${Object.keys(spelt).join('')}]`, 'gu');

/** Others’ letters, as in names, stay what they are. */
export const inAscii = (text: string): string => text.replace(ours, (found) => spelt[found] ?? found);
