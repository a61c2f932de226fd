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
  'Bundles for host “web” are taken.',
  'They must be signed by “build-1”.',
  'A signed time may be at most 366 days ahead of the clock.',
  'The file systems of the store and the work folder always keep 16 MiB free.',
  'With no floor, the machine counts as new if there is no record of one and at most one generation.',
  'An accepted bundle is installed and activated at once.',
  'By hand, these operations are allowed: switch, boot, test, dry-activate.',
  'A bundle that has to wait is brought into the store at once and installed from there, so its medium may be removed. It is dropped after 90 days.',
  'Anything a bundle does not contain must already be in the store.',
  'There are no health checks: a system that switches without an error counts as healthy.',
  'After a restart into a new system, the health checks decide whether it stays.',
  'nixmaker never restarts the machine.',
  'Bundles are taken from the inbox.',
  'nixmaker does not mount media itself.',
  'The inbox keeps the newest 2 bundles that were taken and the newest 10 that were refused.',
  'nixmaker never deletes old generations or collects garbage.',
  'nixmaker never reads through the store by itself to find damage.',
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
    [`Bundles for host “web” are taken, including those bound to machine id ${'0'.repeat(32)}.`],
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
      'A bundle may be at most 1 TiB.',
      'A single store path may be at most 5 B.',
      'All store paths together may be at most 6 B.',
      'A sequence may be at most 7 above the last one taken.',
      'A signed time may be at most 86399 seconds ahead of the clock.',
    ],
    1,
  ],
  [
    'a machine that others have switched',
    { firstStart: 'no-record' },
    ['With no floor, the machine counts as new if there is no record of one.'],
    1,
  ],
  ['a least sequence', { minimumSequence: 8 }, ['Sequences below 8 are refused.'], 0],
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
    [
      'An accepted bundle is installed for the next start.',
      'By hand, these operations are allowed: boot, test.',
    ],
    2,
  ],
  [
    'a window within a day',
    { window: { from: '02:00', to: '04:30', timeZone: 'Europe/Berlin' } },
    ['The agent only installs every day from 02:00 to 04:30 (Europe/Berlin).'],
    0,
  ],
  [
    'a window over midnight, of some days',
    { window: { days: ['sat', 'sun'], from: '22:00', to: '04:00' } },
    ['The agent only installs on sat, sun from 22:00 to 04:00 on the next day (UTC).'],
    0,
  ],
  [
    'a window of a day and a night',
    { window: { from: '02:00', to: '02:00' } },
    ['The agent only installs every day from 02:00 to 02:00 on the next day (UTC).'],
    0,
  ],
  [
    'an approval',
    { approval: { command: ['/bin/ask', '--now'], timeout: 9 } },
    ['Before the agent installs, “/bin/ask --now” must exit with 0 within 9 seconds.'],
    0,
  ],
  [
    'hooks',
    {
      hooks: {
        before: { command: ['/bin/b', 'x'], timeout: 9 },
        after: { command: ['/bin/a'] },
        rollBack: { command: ['/bin/r'] },
      },
    },
    [
      'Just before the system is changed, root runs “/bin/b x” for up to 9 seconds: exit code 0 goes on, 75 means not now, 79 that there is no way back; after anything else the bundle waits.',
      'After a commit, root runs “/bin/a” for up to 300 seconds; what comes of it is only reported.',
      'Before the previous system is restored, root runs “/bin/r” for up to 300 seconds; if it fails, the rollback goes on.',
    ],
    0,
  ],
  [
    'fetching',
    { realise: 'substitute' },
    [
      'Anything a bundle does not contain may be fetched from the caches Nix is configured with; nothing is built.',
    ],
    1,
  ],
  [
    'building',
    { realise: 'build' },
    ['Anything a bundle does not contain may be fetched from the caches Nix is configured with, or built.'],
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
      'After 5 seconds, the units a.service, b.service must be active, “/bin/x -y” must exit with 0, 127.0.0.1:80 must accept a connection, no unit may have newly failed, systemd must have started everything, within 4 attempts; otherwise the previous system is restored.',
    ],
    1,
  ],
  [
    'a single health check',
    { health: { commands: [['/bin/x']], noNewFailedUnits: false, settle: 0, retries: 0 } },
    [
      'After 0 seconds, “/bin/x” must exit with 0, within one attempt; otherwise the previous system is restored.',
    ],
    1,
  ],
  [
    'a word by hand',
    { boot: { confirm: 'manual', within: 60 } },
    [
      'After a restart into a new system, someone must run `nixmaker confirm` within 60 seconds; otherwise the previous system is restored.',
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
      'The machine is restarted when the installed system needs it, 60 seconds after the decision, every day from 01:00 to 02:00 (UTC).',
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
      'Only media with the label A or B, and the UUID 1 or 2, and the file system vfat or ext4, and a mount point below /a or /b are used.',
    ],
    0,
  ],
  ['media of one kind', { sources: { uuids: ['1'] } }, ['Only media with the UUID 1 are used.'], 0],
  [
    'media that are mounted',
    { media: { mount: true, fileSystems: ['vfat', 'ext4'], folders: ['/srv/a', '/srv/b'] } },
    [
      'Media with any label and file system vfat, ext4 are mounted read-only.',
      'The folder /srv/a is treated like a medium.',
      'The folder /srv/b is treated like a medium.',
    ],
    1,
  ],
  [
    'media of a label that are mounted',
    { media: { mount: true, fileSystems: ['vfat'], labels: ['A', 'B'] } },
    ['Media with the label A or B and file system vfat are mounted read-only.'],
    1,
  ],
  ['no receipts', { receipts: { send: false } }, ['No receipts are written to media.'], 1],
  [
    'how much stays',
    { retention: { done: 3, refused: 4 } },
    ['The inbox keeps the newest 3 bundles that were taken and the newest 4 that were refused.'],
    1,
  ],
  [
    'room that is made when it is needed',
    { collect: 'when-needed' },
    [
      'If an update does not fit, nixmaker deletes old generations and garbage, but no more than it needs.',
      'It keeps the newest 2 generations, counting the one being installed. It always keeps a generation that is running, was booted, is pending or held, or is the one to roll back to.',
    ],
    1,
  ],
  [
    'room that is made after each commit',
    { collect: 'after-commit', retention: { generations: 5, generationDays: 30 } },
    [
      'After every commit, and whenever an update does not fit, nixmaker deletes old generations and garbage.',
      'It keeps the newest 5 generations, counting the one being installed, and all that are younger than 30 days. It always keeps a generation that is running, was booted, is pending or held, or is the one to roll back to.',
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
      'They must be signed by at least 2 of these keys: “k” (build and approve, from 2026-01-01T00:00:00Z, until 2027-01-01T00:00:00Z); “l”.',
      'Of those, 1 must have the role “build”.',
    ],
  );
  assert.deepEqual(explainTrust({ trustedKeys: [key({}), key({ key: 'l:x' })], threshold: 1, roles: {} }), [
    'They must be signed by at least one of these keys: “k”; “l”.',
  ]);
});
