/** The journal's message catalogue (Developer documentation “Journal Message Catalogs” of systemd), from the catalogue of codes. */
import { catalogue, safetyOf } from '../../src/core/catalogue.ts';
import type { ReasonCode } from '../../src/core/errors.ts';
import { messageIdOf } from '../../src/report/message-id.ts';

const endings = {
  committed: [
    'A bundle was taken',
    'The system in it runs, and is what the machine starts into from now on.',
  ],
  pending: [
    'A bundle was installed and waits',
    'The running system was not changed. Restart the machine; it is confirmed, or put back, after that.',
  ],
  superseded: [
    'An installed system was replaced before it ever ran',
    'Another one was installed before the restart, and waits in its place.',
  ],
} as const;

const entry = (id: string, subject: string, body: string) =>
  `-- ${id}\nSubject: nixmaker: ${subject}\nDefined-By: nixmaker\nDocumentation: man:nixmaker(1)\n\n@NIXMAKER_SOURCE@\n@NIXMAKER_DETAIL@\n\n${body}\n`;

export function journalCatalogue(): string {
  const well = Object.entries(endings).map(([ending, [subject, body]]) =>
    entry(messageIdOf(ending as keyof typeof endings), subject, body),
  );
  const codes = (Object.entries(catalogue) as [ReasonCode, (typeof catalogue)[ReasonCode]][]).map(
    ([code, { what, next }]) =>
      entry(
        messageIdOf(code),
        what.replace(/\.$/, ''),
        `${safetyOf(code)}\n${next}\nMore: nixmaker explain ${code}`,
      ),
  );
  return `# Written by \`npm run docs\` from src/core/catalogue.ts; do not edit.\n\n${[...well, ...codes].join('\n')}`;
}
