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
  staged: [
    'A release is in the store and waiting for its time',
    'It is installed from there, and decided on again, when its window opens, it is approved, or the running system is confirmed. The medium that brought it is no longer needed.',
  ],
  superseded: [
    'A release was replaced before its time came',
    'Another one was installed or staged in its place before it was installed or started.',
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
