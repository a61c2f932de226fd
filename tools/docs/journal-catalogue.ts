/** The journal's message catalogue (Developer documentation “Journal Message Catalogs” of systemd), from the catalogue of codes. */
import { catalogue, safetyOf } from '../../src/core/catalogue.ts';
import type { ReasonCode } from '../../src/core/errors.ts';
import { messageIdOf } from '../../src/report/message-id.ts';

const endings = {
  committed: ['A bundle was taken', 'Its system is running and is the default from now on.'],
  pending: [
    'A bundle was installed and is waiting for a restart',
    'The running system was not changed. Restart the machine; the new system is then confirmed or rolled back.',
  ],
  superseded: [
    'An installed system was replaced before it ran',
    'Another one was installed before the restart and is waiting in its place.',
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
