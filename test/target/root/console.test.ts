/** What is said at the machine when a medium may go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NixmakerError } from '../../../src/core/errors.ts';
import type { ReceiptRun } from '../../../src/core/run/host-receipt.ts';
import { readMediumWord } from '../../../src/state/screen.ts';
import { screenDirectoryOf } from '../../../src/target/machine/machine.ts';
import { sentence, tellPeople } from '../../../src/target/root/console.ts';
import { rootInMemory } from '../../support/root-machine.ts';

const place = (kind: 'own' | 'foreign' | 'folder') => ({ kind, root: '/run/media/x', id: 'x' });
const ran = (changes: Partial<ReceiptRun>): ReceiptRun => ({
  ...{ transaction: '0123456789ab', at: 'x', source: 'web.tar', state: 'committed', sequence: 5 },
  ...changes,
});
const problem = new NixmakerError('medium-full', 'x');

for (const [what, visit, said] of [
  [
    'nothing',
    { place: place('own'), last: undefined },
    'Nothing new for this machine. You may remove the medium.',
  ],
  [
    'somebody else’s medium',
    { place: place('foreign'), last: undefined },
    'Nothing new for this machine. You may unmount and remove the medium.',
  ],
  ['a folder', { place: place('folder'), last: undefined }, 'Nothing new for this machine.'],
  [
    'a receipt that waits, at a folder',
    { place: place('folder'), last: undefined, problem },
    'Nothing new for this machine. The receipt could not be written (medium-full); it waits for the next medium.',
  ],
  [
    'committed',
    { place: place('folder'), last: { run: ran({}), says: 'root' } },
    'Sequence 5 is installed and running.',
  ],
  [
    'pending',
    { place: place('folder'), last: { run: ran({ state: 'pending' }), says: 'root' } },
    'Sequence 5 is installed and runs from the next start.',
  ],
  [
    'staged until a window opens',
    {
      place: place('own'),
      last: { run: ran({ state: 'staged', code: 'outside-window' }), says: 'root' },
    },
    'Sequence 5 is staged: it is installed when the window opens. You may remove the medium.',
  ],
  [
    'staged for a reason of a newer nixmaker',
    { place: place('folder'), last: { run: ran({ state: 'staged', code: 'new' }), says: 'root' } },
    'Sequence 5 is staged: it waits for its time.',
  ],
  [
    'a state without a code',
    { place: place('folder'), last: { run: ran({ state: 'superseded' }), says: 'root' } },
    'Sequence 5: superseded.',
  ],
  [
    'a medium with nothing for this machine',
    { place: place('own'), without: 'nothing' },
    'There is nothing for this machine on this medium. You may remove it.',
  ],
  [
    'a medium that can’t be read',
    { place: place('own'), without: 'unreadable' },
    /cannot be read\. Remove it/,
  ],
  ['a medium that does not answer', { place: place('own'), without: 'silent' }, /Pull it out/],
  [
    'what the agent alone knows, without a code',
    { place: place('folder'), last: { run: ran({ state: 'refused' }), says: 'agent' } },
    'The agent’s report on sequence 5: refused.',
  ],
  [
    'what the agent alone knows, with a code',
    {
      place: place('folder'),
      last: { run: ran({ state: 'refused', code: 'expired', sequence: undefined }), says: 'agent' },
    },
    /^The agent’s report on a bundle: refused \(expired\)\. \S.*\.$/,
  ],
  [
    'a bundle without a sequence',
    { place: place('folder'), last: { run: ran({ sequence: undefined }), says: 'root' } },
    'A bundle is installed and running.',
  ],
  [
    'a person’s rollback',
    {
      place: place('own'),
      last: {
        run: ran({ state: 'committed', sequence: undefined, targetGeneration: 1, rolledBackFrom: 3 }),
        says: 'root',
      },
    },
    'Generation 1 is installed and running. Release 3, which ran before, is held. You may remove the medium.',
  ],
  [
    'a code',
    {
      place: place('folder'),
      last: { run: ran({ state: 'refused', code: 'sequence-older' }), says: 'root' },
    },
    /^Sequence 5: refused \(sequence-older\)\. The bundle is older/,
  ],
  [
    'a code of a newer nixmaker',
    { place: place('folder'), last: { run: ran({ state: 'refused', code: 'no-such-code' }), says: 'root' } },
    'Sequence 5: refused (no-such-code). ',
  ],
] as const)
  test(`of ${what} is said what happened, and whether the medium may go`, () => {
    const text = sentence({ problem: undefined, ...visit });
    if (typeof said === 'string') assert.equal(text, said);
    else assert.match(text, said);
  });

const notify = ['/bin/lamp', '--green'] as [string, string];

test('the operator’s program is told what became of the medium', async (t) => {
  const { machine, started, events } = await rootInMemory(t, {
    policy: { receipts: { send: true, notify } },
  });
  await tellPeople(machine, {
    place: place('own'),
    last: { run: ran({ code: 'expired', state: 'refused' }), says: 'root' },
    problem,
  });
  assert.deepEqual(started[0]?.argv, notify);
  assert.deepEqual(started[0]?.options, {
    timeout: 30_000,
    cwd: '/',
    env: {
      NIXMAKER_PLACE: '/run/media/x',
      NIXMAKER_STATE: 'refused',
      NIXMAKER_CODE: 'expired',
      NIXMAKER_SEQUENCE: '5',
      NIXMAKER_SAYS: 'root',
      NIXMAKER_RECEIPTS: 'medium-full',
    },
  });
  assert.deepEqual(
    events.map((e) => e.event),
    ['medium-may-go'],
  );
});

test('screens are told which of several media to bring next', async (t) => {
  const { machine } = await rootInMemory(t);
  await tellPeople(machine, {
    place: place('own'),
    last: { run: ran({ code: 'parts-missing', state: 'deferred' }), says: 'agent' },
    parts: { of: 3, needed: [2, 3] },
  });
  const word = await readMediumWord(screenDirectoryOf(machine.settings));
  assert.deepEqual([word?.run?.code, word?.bring], ['parts-missing', { part: 2, of: 3 }]);
});

test('where nothing came of it the program is told so; one that fails is told of', async (t) => {
  const { machine, started, events } = await rootInMemory(t, {
    policy: { receipts: { send: true, notify } },
    answer: () => ({ exitCode: 3 }),
  });
  await tellPeople(machine, { place: place('own'), last: undefined, problem: undefined });
  const env = started[0]?.options.env;
  assert.deepEqual([env?.NIXMAKER_STATE, env?.NIXMAKER_RECEIPTS], ['nothing-new', 'written']);
  assert.deepEqual(events.at(-1), {
    event: 'notify-failed',
    level: 'warn',
    program: '/bin/lamp',
    detail: 'exit 3',
  });
});

test('without a program nothing is started', async (t) => {
  const { machine, started } = await rootInMemory(t);
  await tellPeople(machine, { place: place('own'), last: undefined, problem: undefined });
  assert.deepEqual(started, []);
});

for (const [what, ended, detail] of [
  ['ended by a signal', { exitCode: undefined }, 'killed by a signal'],
  ['that can’t be started', { exitCode: undefined, startError: 'ENOENT' }, 'ENOENT'],
] as const)
  test(`a program ${what} is told of as that; and of a medium without a receipt it hears why`, async (t) => {
    const { machine, started, events } = await rootInMemory(t, {
      policy: { receipts: { send: true, notify } },
      answer: () => ended,
    });
    await tellPeople(machine, { place: place('own'), without: 'silent' });
    assert.equal(started[0]?.options.env?.NIXMAKER_RECEIPTS, 'silent');
    assert.deepEqual(
      events.map((e) => [e.event, e.detail]),
      [
        ['medium-without-receipt', undefined],
        ['notify-failed', detail],
      ],
    );
  });
