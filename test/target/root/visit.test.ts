/** The end of a visit, where it can’t go as it should: nothing is written, receipts wait, and a person is told. */
import assert from 'node:assert/strict';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Finding } from '../../../src/core/run/host-receipt.ts';
import { visitRequests, writeRequest } from '../../../src/state/requests.ts';
import { serveVisit, serveVisits } from '../../../src/target/root/visit.ts';
import { temporaryFolder } from '../../support/bundles.ts';
import { rootInMemory } from '../../support/root-machine.ts';

const visit = (place: string) => ({
  schema: 1 as const,
  transaction: '0123456789ab',
  place,
  findings: [],
  runs: [],
});

/** A medium of ours is mounted at this place. @param fileSystem what is found on its device afterwards */
async function visited(
  t: TestContext,
  { place, asked = place, fileSystem = 'vfat', send = true, without, findings = [] }: Scene,
) {
  const made = await rootInMemory(t, {
    policy: { media: { mount: true }, receipts: { send } },
    answer: ([program]) => {
      const table = { filesystems: [{ target: place, source: '/dev/x', fstype: 'vfat', 'maj:min': '0:9' }] };
      if (program === 'findmnt') return { stdout: JSON.stringify(table) };
      if (program === 'blkid') return { stdout: `TYPE=${fileSystem}\n` };
      return undefined;
    },
  });
  await serveVisit(made.machine, {
    ...visit(asked),
    findings: [...findings],
    ...(without === undefined ? {} : { without }),
  });
  const programs = made.started.map(({ argv }) => argv[0]);
  return {
    ...made,
    programs,
    said: made.events.map((e) => [e.event, e.code].filter((x) => x !== undefined).join(' ')),
  };
}

interface Scene {
  readonly place: string;
  readonly asked?: string;
  readonly fileSystem?: string;
  readonly send?: boolean;
  readonly without?: 'nothing';
  readonly findings?: readonly Finding[];
}

const ours = '/run/media/nixmaker/sdb1';

test('a place where no medium is, is none, whatever the agent says', async (t) => {
  const { said, programs } = await visited(t, { place: ours, asked: '/etc' });
  assert.deepEqual([said, programs], [['medium-gone'], ['findmnt']]);
});

test('a medium whose name is no device’s is left alone', async (t) => {
  const { said, programs } = await visited(t, { place: '/run/media/nixmaker/sd b1' });
  assert.deepEqual(said, ['receipts-wait internal', 'medium-may-go']);
  assert.ok(!programs.includes('mount') && !programs.includes('umount'), programs.join());
});

test('a medium on which another file system lies by now is not mounted', async (t) => {
  const { said, programs } = await visited(t, { place: ours, fileSystem: 'ntfs' });
  assert.deepEqual(said, ['receipts-wait medium-failing', 'medium-may-go']);
  assert.ok(!programs.includes('mount'), programs.join());
});

test('where the policy sends no receipts the medium is let go, and none is made', async (t) => {
  const { said, started } = await visited(t, { place: ours, send: false });
  assert.deepEqual(said, ['medium-may-go']);
  assert.ok(started.some(({ argv }) => argv.join(' ') === 'systemctl stop nixmaker-medium@sdb1.service'));
});

test('to a medium that has nothing for this machine nothing is written, and a person is told', async (t) => {
  const { said, programs } = await visited(t, { place: ours, without: 'nothing' });
  assert.deepEqual(said, ['medium-without-receipt']);
  assert.deepEqual(programs, ['findmnt']);
});

const own = (changes: Partial<Finding>): Finding => ({
  file: 'nixmaker/hosts/web/7',
  outcome: 'unusable',
  code: 'signature-unknown-key',
  ...changes,
});

for (const [what, findings, said] of [
  [
    'signed by a key that is not trusted',
    [own({})],
    /^A release for this machine was not taken\. The bundle is signed, but not by any key this machine trusts\./,
  ],
  [
    'that has expired',
    [own({ outcome: 'refuse', code: 'expired' })],
    /^A release for this machine was not taken\. The bundle has expired\./,
  ],
  [
    'that is older than what runs',
    [own({ outcome: 'refuse', code: 'sequence-older' })],
    /^Nothing new for this machine\./,
  ],
  [
    'that lies beside a newer one that runs',
    [own({ file: 'nixmaker/hosts/web/9' }), { file: 'nixmaker/hosts/web/10', outcome: 'already-committed' }],
    /^Nothing new for this machine\./,
  ],
  ['for another machine', [own({ file: 'nixmaker/hosts/web-2/7' })], /^Nothing new for this machine\./],
  ['refused in words of a newer nixmaker', [own({ code: 'new' })], /^Nothing new for this machine\./],
] as const)
  test(`a person is told of a release ${what} as it is`, async (t) => {
    const { events } = await visited(t, { place: ours, send: false, findings });
    assert.match(String(events.find(({ event }) => event === 'medium-may-go')?.text), said);
  });

test('a medium of ours is unmounted, written to where nobody else sees it, and not mounted again', async (t) => {
  const writeDirectory = await temporaryFolder(t);
  const row = { target: ours, source: '/dev/sdb1', fstype: 'vfat', 'maj:min': '0:9' };
  const made = await rootInMemory(t, {
    policy: { media: { mount: true }, receipts: { send: true } },
    settings: { media: { writeDirectory } },
    answer: ([program]) => {
      if (program === 'findmnt') return { stdout: JSON.stringify({ filesystems: [row] }) };
      return program === 'blkid' ? { stdout: 'TYPE=vfat\n' } : undefined;
    },
  });
  const { requestsDirectory } = made.machine;
  await mkdir(join(requestsDirectory, visitRequests.folder));
  await writeRequest(requestsDirectory, visitRequests, visit(ours));
  await serveVisits(made.machine);
  const target = join(writeDirectory, 'sdb1');
  const did = made.started
    .map(({ argv }) => argv)
    .filter(([program]) => program !== 'nix-store' && program !== 'nix');
  assert.deepEqual(
    did.map((argv) => [argv[0], argv.at(-1)]),
    [
      ['findmnt', 'TARGET,SOURCE,FSTYPE,MAJ:MIN,OPTIONS,LABEL,UUID'],
      ['systemctl', 'nixmaker-medium@sdb1.service'],
      ['blkid', '/dev/sdb1'],
      ['blockdev', '/dev/sdb1'],
      ['mount', target],
      ['umount', target],
    ],
  );
  assert.deepEqual(await readdir(join(target, 'nixmaker/receipts/web')), ['0.json']);
  assert.deepEqual(
    made.events.map((e) => e.event),
    ['receipts-written', 'medium-may-go'],
  );
  assert.deepEqual(await readdir(join(requestsDirectory, visitRequests.folder)), [], 'it is served once');
});

test('a place that may make the kernel panic is none', async (t) => {
  const row = {
    target: ours,
    source: '/dev/x',
    fstype: 'vfat',
    'maj:min': '0:9',
    options: 'ro,errors=panic',
  };
  const made = await rootInMemory(t, {
    policy: { media: { mount: true } },
    answer: ([program]) =>
      program === 'findmnt' ? { stdout: JSON.stringify({ filesystems: [row] }) } : undefined,
  });
  await serveVisit(made.machine, visit(ours));
  assert.deepEqual(
    made.events.map((e) => e.event),
    ['medium-gone'],
  );
});
