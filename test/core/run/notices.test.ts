/** What a person at a screen is told and asked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JournalRecord } from '../../../src/core/run/journal.ts';
import { states } from '../../../src/core/run/lifecycle.ts';
import { findNotices, noticeKinds, type ScreenFacts } from '../../../src/core/run/notices.ts';
import type { MediumWord } from '../../../src/core/run/screen.ts';
import { failedText, type Language, languageOf, noticeText } from '../../../src/report/desktop-words.ts';

const now = new Date('2026-11-29T12:00:00Z');
const facts: ScreenFacts = {
  bootId: 'this',
  uptime: 1000,
  now,
  records: [],
  restartChanges: [],
  word: undefined,
  question: undefined,
};
const record = (more: Partial<JournalRecord>): JournalRecord => ({
  schema: 1,
  at: '2026-11-29T11:00:00Z',
  transaction: '0123456789ab',
  state: 'committed',
  source: 'web.tar',
  sequence: 7,
  bootId: 'this',
  ...more,
});
const word: MediumWord = {
  schema: 1,
  at: '2026-11-29T11:30:00Z',
  bootId: 'this',
  place: '/run/media/nixmaker/sda1',
  eject: false,
};
const kinds = (more: Partial<ScreenFacts>) => findNotices({ ...facts, ...more }).map(({ kind }) => kind);

test('nothing is told where there is nothing to tell', () => {
  assert.deepEqual(findNotices(facts), []);
  for (const state of ['committed', 'superseded', 'refused', 'deferred', 'imported'] as const)
    assert.deepEqual(kinds({ records: [record({ state })] }), [], state);
});

test('a restart is asked for where an update waits for one in this boot', () => {
  const pending = record({ state: 'pending' });
  assert.deepEqual(kinds({ records: [pending] }), ['restart']);
  assert.deepEqual(kinds({ records: [record({ state: 'pending', bootId: 'before' })] }), []);
  const switched = record({ generation: 4 });
  assert.deepEqual(kinds({ records: [switched], restartChanges: ['kernel'] }), ['restart-for-the-rest']);
  assert.deepEqual(kinds({ records: [switched] }), []);
  assert.deepEqual(kinds({ records: [record({})], restartChanges: ['kernel'] }), [], 'nothing was installed');
  assert.deepEqual(
    kinds({ records: [record({ generation: 4, bootId: 'before' })], restartChanges: ['kernel'] }),
    [],
  );
});

test('a new system is to be kept until its time is over, and in the boot that asks', () => {
  const asked = record({ state: 'pending', bootId: 'before', askedIn: 'this', confirmBy: 1090 });
  assert.deepEqual(findNotices({ ...facts, records: [asked] }), [
    { id: 'keep 0123456789ab', kind: 'keep', sequence: 7, secondsLeft: 90, answers: ['keep'] },
  ]);
  assert.deepEqual(kinds({ records: [asked], uptime: 1090 }), []);
  assert.deepEqual(kinds({ records: [{ ...asked, askedIn: 'before' }] }), []);
});

test('a question is shown while it stands', () => {
  const question = { schema: 1, id: 'abcdefabcdef', bootId: 'this', sequence: 9, until: 1060 } as const;
  assert.deepEqual(findNotices({ ...facts, question }), [
    {
      id: 'approve abcdefabcdef',
      kind: 'approve',
      sequence: 9,
      secondsLeft: 60,
      answers: ['approve', 'refuse'],
    },
  ]);
  assert.deepEqual(kinds({ question, uptime: 1060 }), []);
  assert.deepEqual(kinds({ question: { ...question, bootId: 'before' } }), []);
});

test('how the last run ended is told if it ended badly, for a week, and once if the medium says it as well', () => {
  const ended = record({ state: 'rolled-back', code: 'unhealthy' });
  assert.deepEqual(kinds({ records: [ended] }), ['rolled-back']);
  assert.deepEqual(kinds({ records: [record({ state: 'failed' })] }), ['not-installed']);
  assert.deepEqual(kinds({ records: [{ ...ended, at: '2026-11-22T11:59:59Z' }] }), []);
  assert.deepEqual(kinds({ records: [{ ...ended, at: '2026-11-22T12:00:00Z' }] }), ['rolled-back']);
  assert.deepEqual(
    kinds({ records: [ended, record({ transaction: 'ffffffffffff' })] }),
    [],
    'another one worked',
  );
  const run = { transaction: ended.transaction, state: 'rolled-back', code: 'unhealthy' };
  assert.deepEqual(kinds({ records: [ended], word: { ...word, run } }), ['medium-not-installed']);
  const other = { ...run, state: 'pending' };
  assert.deepEqual(kinds({ records: [ended], word: { ...word, run: other } }), [
    'rolled-back',
    'medium-pending',
  ]);
});

test('a medium is told of until the next start', () => {
  assert.deepEqual(kinds({ word }), ['medium-done']);
  assert.deepEqual(kinds({ word: { ...word, without: 'silent' } }), ['medium-silent']);
  assert.deepEqual(kinds({ word: { ...word, bootId: 'before' } }), []);
});

test('what waits in the store for its time, or for other media, is not told of as if it had failed', () => {
  const run = { transaction: '0123456789ab', sequence: 7 };
  const staged = { ...run, state: 'staged', code: 'outside-window' };
  assert.deepEqual(kinds({ word: { ...word, run: staged } }), ['medium-staged']);
  const part = { ...run, state: 'deferred', code: 'parts-missing' };
  const [notice] = findNotices({ ...facts, word: { ...word, run: part, bring: { part: 2, of: 3 } } });
  assert.equal(notice?.kind, 'medium-part');
  assert.match(noticeText(notice, 'en').body, /Release 7 .* part 2 of 3/);
  assert.deepEqual(kinds({ word: { ...word, run: part } }), ['medium-not-installed'], 'nobody knows which');
});

test('whatever the journal has, each notice is there once, and only what can be answered has answers', () => {
  const records = fc.array(
    fc.record({ state: fc.constantFrom(...states), n: fc.integer({ min: 0, max: 3 }), now: fc.boolean() }),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(records, fc.boolean(), (all, changes) => {
      const notices = findNotices({
        ...facts,
        word,
        restartChanges: changes ? ['kernel'] : [],
        records: all.map(({ state, n, now }) =>
          record({
            state,
            transaction: `00000000000${n}`,
            bootId: now ? 'this' : 'before',
            generation: n,
            confirmBy: 900 + n * 100,
            askedIn: 'this',
          }),
        ),
      });
      assert.equal(new Set(notices.map(({ id }) => id)).size, notices.length);
      for (const { kind, answers } of notices)
        assert.equal(
          answers.length > 0,
          ['restart', 'restart-for-the-rest', 'keep', 'approve'].includes(kind),
        );
    }),
  );
});

test('each language has every word, without a gap, and nothing that a notification service could take for markup', () => {
  for (const language of ['en', 'de', 'fr'] as const satisfies readonly Language[]) {
    const texts = noticeKinds.map((kind) =>
      noticeText(
        {
          id: 'x',
          kind,
          sequence: 12,
          code: 'unhealthy',
          secondsLeft: 125,
          eject: true,
          answers: ['restart'],
        },
        language,
      ),
    );
    for (const { title, body, answers } of texts)
      for (const text of [title, body, ...answers.map(([, label]) => label), failedText(language)]) {
        assert.doesNotMatch(text, /[{}<>&\\]/);
        assert.ok(text.length > 3 && text.length < 200, text);
      }
    assert.ok(
      texts.some(({ body }) => body.includes('12')) && texts.some(({ body }) => body.includes('2 min')),
    );
  }
  const hostile = { id: 'x', kind: 'rolled-back', code: '<b>x</b>', answers: [] } as const;
  assert.match(noticeText(hostile, 'en').body, /Release without a number did not work here, .* \(\?\)/);
});

test('the language is that of messages', () => {
  assert.equal(languageOf({ LANG: 'de_AT.UTF-8' }), 'de');
  assert.equal(languageOf({ LANG: 'de_DE.UTF-8', LC_MESSAGES: 'fr_FR.UTF-8' }), 'fr');
  assert.equal(languageOf({ LANG: 'de_DE.UTF-8', LC_ALL: 'C.UTF-8' }), 'en');
  assert.equal(languageOf({ LANG: 'nl_NL.UTF-8' }), 'en');
  assert.equal(languageOf({}), 'en');
});
