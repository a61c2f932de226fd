/** What the locale can show (locale(7)): outside UTF-8 our own punctuation is spelt in ASCII. */

/**
 * Determined by the first variable that is set, in setlocale(3)'s order; none means the C locale. The journal ($JOURNAL_STREAM,
 * systemd.exec(5)) is UTF-8 whatever a service’s locale.
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

/** Other letters, as in names, stay as they are. */
export const inAscii = (text: string): string => text.replace(ours, (found) => spelt[found] ?? found);
