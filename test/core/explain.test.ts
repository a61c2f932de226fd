/** What `check-policy` says of a policy: each sentence as a person reads it, and where it is left out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainPolicy, explainTrust } from '../../src/core/policy/explain.ts';
import { policyParser } from '../../src/core/policy/policy.ts';

const explained = (changes: Record<string, unknown> = {}): string[] =>
  explainPolicy(
    policyParser.parse({
      schema: 1,
      host: 'web',
      operation: 'switch',
      trustedKeys: ['build-1:x'],
      ...changes,
    }),
  );

const plain = [
  'Bundles of the host “web” are taken.',
  'The key “build-1” must have signed them.',
  'A signed time may be at most 366 days ahead of the clock.',
  'In the file systems of the store and of what is unpacked on the way 16 MiB stay free.',
  'Without a floor the machine counts as new where no record of one is there, and no generation after the first.',
  'An accepted bundle is installed, and switched to at once.',
  'By hand a person may ask for: switch, boot, test, dry-activate.',
  'What a bundle does not carry must be in the store already.',
  'There are no health checks: a system that was switched to without an error counts as well.',
  'After a start into a new system the checks decide whether it stays.',
  'nixmaker never restarts the machine.',
  'Bundles are taken from the inbox.',
  'nixmaker mounts no media by itself.',
  'Of what was taken the newest 2 stay in the inbox, of what was refused the newest 10.',
  'nixmaker never deletes generations and never collects garbage.',
  'Receipts are written to the media that bring bundles.',
];

test('a policy of defaults is told of in as many sentences as it has things to say', () => {
  assert.deepEqual(explained(), plain);
});

/** What is said instead of the sentences that go, or besides, where the policy says so. */
const cases: readonly (readonly [string, Record<string, unknown>, readonly string[], number])[] = [
  [
    'a machine id',
    { machineId: '0'.repeat(32) },
    [`Bundles of the host “web” are taken, also if they are bound to the machine id ${'0'.repeat(32)}.`],
    1,
  ],
  [
    'limits',
    {
      limits: {
        bundleBytes: 1024 ** 4 - 1,
        narBytes: 5,
        closureBytes: 6,
        sequenceJump: 7,
        createdAhead: 86_399,
      },
    },
    [
      'A bundle may have 1 TiB.',
      'One store path may have 5 B.',
      'All store paths together may have 6 B.',
      'A sequence may be at most 7 ahead of the last one taken.',
      'A signed time may be at most 86399 seconds ahead of the clock.',
    ],
    1,
  ],
  [
    'a machine that others have switched',
    { firstStart: 'no-record' },
    ['Without a floor the machine counts as new where no record of one is there.'],
    1,
  ],
  ['a least sequence', { minimumSequence: 8 }, ['No sequence below 8 is taken.'], 0],
  [
    'a time ahead of a day and a half',
    { limits: { createdAhead: 86_400 * 1.5 } },
    ['A signed time may be at most 1 days ahead of the clock.'],
    1,
  ],
  [
    'a time ahead of just a day',
    { limits: { createdAhead: 86_400 } },
    ['A signed time may be at most 1 days ahead of the clock.'],
    1,
  ],
  [
    'the next start',
    { operation: 'boot', operations: ['test'] },
    ['An accepted bundle is installed for the next start.', 'By hand a person may ask for: boot, test.'],
    2,
  ],
  [
    'a window within a day',
    { window: { from: '02:00', to: '04:30', timeZone: 'Europe/Berlin' } },
    ['The agent installs only every day from 02:00 to 04:30 (Europe/Berlin).'],
    0,
  ],
  [
    'a window over midnight, of some days',
    { window: { days: ['sat', 'sun'], from: '22:00', to: '04:00' } },
    ['The agent installs only on sat, sun from 22:00 to 04:00 on the day after (UTC).'],
    0,
  ],
  [
    'a window of a day and a night',
    { window: { from: '02:00', to: '02:00' } },
    ['The agent installs only every day from 02:00 to 02:00 on the day after (UTC).'],
    0,
  ],
  [
    'an approval',
    { approval: { command: ['/bin/ask', '--now'], timeout: 9 } },
    ['Before the agent installs, “/bin/ask --now” must exit with 0 within 9 seconds.'],
    0,
  ],
  [
    'fetching',
    { realise: 'substitute' },
    [
      'What a bundle does not carry may be fetched from the caches that Nix is set up with; nothing is built.',
    ],
    1,
  ],
  [
    'building',
    { realise: 'build' },
    ['What a bundle does not carry may be fetched from the caches that Nix is set up with, or built.'],
    1,
  ],
  [
    'health checks of every kind',
    {
      health: {
        units: ['a.service', 'b.service'],
        commands: [['/bin/x', '-y']],
        tcp: [{ port: 80 }],
        systemRunning: true,
      },
    },
    [
      'After 5 seconds the units a.service, b.service must be active, “/bin/x -y” must exit with 0, 127.0.0.1:80 must take a connection, no unit may have failed that had not failed before, systemd must have started everything, at the latest at look 4; otherwise the previous system comes back.',
    ],
    1,
  ],
  [
    'a single health check',
    { health: { commands: [['/bin/x']], noNewFailedUnits: false, settle: 0, retries: 0 } },
    [
      'After 0 seconds “/bin/x” must exit with 0, at the latest at look 1; otherwise the previous system comes back.',
    ],
    1,
  ],
  [
    'a word by hand',
    { boot: { confirm: 'manual', within: 60 } },
    [
      'After a start into a new system a person has 60 seconds to run `nixmaker confirm`, or the previous one comes back.',
    ],
    1,
  ],
  [
    'restarts after all',
    { reboot: { when: 'always', delay: 5 } },
    ['The machine is restarted after every switch, 5 seconds after the decision.'],
    1,
  ],
  [
    'restarts that are needed, at night',
    { reboot: { when: 'when-needed', window: { from: '01:00', to: '02:00' } } },
    [
      'The machine is restarted when what was installed needs it, 60 seconds after the decision, every day from 01:00 to 02:00 (UTC).',
    ],
    1,
  ],
  [
    'no sources at all',
    { sources: { inbox: false, media: false, labels: ['X'] } },
    ['Nothing is taken from the inbox.', 'Nothing is taken from media.'],
    1,
  ],
  [
    'some media',
    {
      sources: { labels: ['A', 'B'], uuids: ['1', '2'], fileSystems: ['vfat', 'ext4'], roots: ['/a', '/b'] },
    },
    [
      'Of media only those with the label A or B, and the UUID 1 or 2, and the file system vfat or ext4, and a place below /a or /b are looked at.',
    ],
    0,
  ],
  [
    'media of one kind',
    { sources: { uuids: ['1'] } },
    ['Of media only those with the UUID 1 are looked at.'],
    0,
  ],
  [
    'media that are mounted',
    { media: { mount: true, fileSystems: ['vfat', 'ext4'], folders: ['/srv/a', '/srv/b'] } },
    [
      'Media of any label with vfat, ext4 are mounted, read-only.',
      'The folder /srv/a is looked at like a medium.',
      'The folder /srv/b is looked at like a medium.',
    ],
    1,
  ],
  [
    'media of a label that are mounted',
    { media: { mount: true, fileSystems: ['vfat'], labels: ['A', 'B'] } },
    ['Media of the label A or B with vfat are mounted, read-only.'],
    1,
  ],
  ['no receipts', { receipts: { send: false } }, ['No receipts are written to media.'], 1],
  [
    'how much stays',
    { retention: { done: 3, refused: 4 } },
    ['Of what was taken the newest 3 stay in the inbox, of what was refused the newest 4.'],
    1,
  ],
  [
    'room that is made when it is needed',
    { collect: 'when-needed' },
    [
      'Where an update finds no room, old generations are deleted and garbage is collected, as much as it needs.',
      'The newest 2 generations stay, the one being installed among them; so do those that run, were started, wait, are held, or would be gone back to.',
    ],
    1,
  ],
  [
    'room that is made after each commit',
    { collect: 'after-commit', retention: { generations: 5, generationDays: 30 } },
    [
      'After each commit, and where an update finds no room, old generations are deleted and garbage is collected.',
      'The newest 5 generations stay, the one being installed among them, and all that are younger than 30 days; so do those that run, were started, wait, are held, or would be gone back to.',
    ],
    1,
  ],
];

for (const [what, changes, said, instead] of cases)
  test(`a policy with ${what} says so, and all else as before`, () => {
    const sentences = explained(changes);
    assert.deepEqual(
      sentences.filter((s) => !plain.includes(s)),
      said,
    );
    assert.equal(plain.filter((s) => !sentences.includes(s)).length, instead);
  });

test('of several keys it is said how many must sign, and what each is good for', () => {
  const key = (changes: object) => ({ key: 'k:x', roles: [], ...changes });
  assert.deepEqual(
    explainTrust({
      trustedKeys: [
        key({
          roles: ['build', 'approve'],
          notBefore: '2026-01-01T00:00:00Z',
          notAfter: '2027-01-01T00:00:00Z',
        }),
        key({ key: 'l:x' }),
      ],
      threshold: 2,
      roles: { build: 1 },
    }),
    [
      'At least 2 of these keys must have signed them: “k” (build and approve, from 2026-01-01T00:00:00Z, until 2027-01-01T00:00:00Z); “l”.',
      'Among them 1 with the role “build”.',
    ],
  );
  assert.deepEqual(explainTrust({ trustedKeys: [key({}), key({ key: 'l:x' })], threshold: 1, roles: {} }), [
    'At least one of these keys must have signed them: “k”; “l”.',
  ]);
});
