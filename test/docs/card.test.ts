/** The card for the crew: what it says the screen shows is what the program prints, and it fits on one page. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { catalogue } from '../../src/core/catalogue.ts';
import { sentence } from '../../src/target/root/console.ts';
import { read } from '../project/documents.ts';
import { notPrinted } from '../support/document-steps.ts';

type Visit = Parameters<typeof sentence>[0];

const own = { kind: 'own' } as Visit['place'];
const ran = (run: object): Visit => ({ place: own, last: { run, says: 'root' } as Visit['last'] & object });
const printed = [
  { place: own },
  { place: { kind: 'mounted' } as unknown as Visit['place'] },
  ...(['nothing', 'unreadable', 'misnamed', 'silent'] as const).map((without) => ({ place: own, without })),
  ran({ state: 'committed', sequence: 7 }),
  ran({ state: 'pending', sequence: 7 }),
  ran({ state: 'refused', code: 'expired', sequence: 7 }),
  ran({ state: 'rolled-back', code: 'health-failed', sequence: 7 }),
].map((visit) => sentence(visit as Visit));
/** Said when a medium is mounted. */
const mounting = [...read('src/target/root/mount-medium.ts').matchAll(/'([^'\n]{30,})'/g)].map(
  ([, text = '']) => text,
);

const card = read('docs/card.md');
const flat = card.replace(/\s+/g, ' ');

test('every sentence that the card quotes is one that the machine shows, or the end of one', () => {
  const quoted = [...flat.matchAll(/“([^”]+)”/g)].map(([, text = '']) => text);
  assert.ok(quoted.length >= 10, `${quoted.length} sentences`);
  const said = [...printed, ...mounting];
  const ends = said.flatMap((text) => text.split(/(?<=[.]) /).map((_, i, all) => all.slice(i).join(' ')));
  assert.deepEqual(notPrinted(quoted, ends.join('\n')), []);
});

test('codes that need hands at the machine, or smell of tampering, are on the card', () => {
  const codes = [...card.matchAll(/`([a-z-]+)`/g)].map(([, code = '']) => code);
  assert.deepEqual(
    codes.filter((code) => !(code in catalogue)),
    [],
  );
  const touched = Object.entries(catalogue).filter(([, entry]) => 'touched' in entry && entry.touched);
  // After these the machine is as it was before; of the others the crew must know.
  const restored = /^(?:interrupted|activation-failed|no-boot-entry|configuration-unusable|health-failed)$/;
  const undone = /^(?:boot-failed|not-confirmed)$/;
  // Whoever installs a machine is no crew on site.
  const first = /^install-failed$/;
  const serious = touched
    .map(([code]) => code)
    .filter((code) => ![restored, undone, first].some((others) => others.test(code)));
  assert.ok(serious.length >= 3);
  for (const code of [...serious, 'store-corrupt', 'signature-invalid'])
    assert.ok(codes.includes(code), code);
});

test('the card is one page', () => {
  assert.ok(card.split(/\s+/).length < 480);
});
