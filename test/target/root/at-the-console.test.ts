/** What appears at the machine’s own console: a medium that came, one that can’t be read, one that may go. The console is a file here. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { tellPeople } from '../../../src/target/root/console.ts';
import { mountByPolicy } from '../../../src/target/root/mount-medium.ts';
import { inOwnStore } from '../../support/own-store.ts';
import { type Making, rootInMemory } from '../../support/root-machine.ts';

/** Of this namespace’s own. */
const lines = '/run/console';

function withConsole(): void {
  writeFileSync(lines, '');
  execFileSync('mount', ['--bind', lines, '/dev/console']);
}

interface Medium extends Making {
  readonly blkid?: string;
  /** As findmnt tells afterwards. */
  readonly mounts?: readonly Record<string, string>[];
}

const place = '/run/media/nixmaker/sdb1';

async function mounted(
  t: TestContext,
  { blkid = 'TYPE=vfat\nLABEL=STICK\n', mounts = [], ...making }: Medium,
) {
  writeFileSync(lines, '');
  const made = await rootInMemory(t, {
    ...making,
    policy: { media: { mount: true }, ...making.policy },
    answer: (argv) => {
      if (argv[0] === 'blkid') return { stdout: blkid };
      if (argv[0] === 'findmnt') return { stdout: JSON.stringify({ filesystems: mounts }) };
      return making.answer?.(argv);
    },
  });
  mkdirSync('/run/media', { recursive: true });
  const fault = await mountByPolicy(made.machine, 'sdb1').then(
    () => undefined,
    (error) => error,
  );
  const programs = made.started.map(({ argv }) => argv[0]);
  return { ...made, fault, programs, said: readFileSync(lines, 'utf8') };
}

inOwnStore(import.meta.url, () => {
  withConsole();
  const row = (changes: Record<string, string> = {}) => ({
    ...{ target: place, source: '/dev/sdb1', fstype: 'vfat', 'maj:min': '8:17', label: 'STICK' },
    ...changes,
  });
  const taken = '\r\nnixmaker: Reading the medium. Leave it in until this screen says you may remove it.\r\n';
  const left = '\r\nnixmaker: This machine’s policy takes nothing from this medium. You may remove it.\r\n';

  test('a medium that the policy takes bundles from is mounted, and whoever brought it is told to wait', async (t) => {
    const { programs, said, events } = await mounted(t, { mounts: [row()] });
    assert.deepEqual(programs, ['blkid', 'findmnt', 'blockdev', 'mount', 'findmnt']);
    assert.equal(said, taken);
    assert.deepEqual(events, [
      {
        ...{ event: 'medium-mounted', device: '/dev/sdb1', target: place, isSource: true },
        ...{ fileSystem: 'vfat', label: 'STICK' },
      },
    ]);
  });

  for (const [what, policy, mounts, expected] of [
    ['of another label than bundles are taken from', { sources: { labels: ['OTHER'] } }, [row()], left],
    ['of the label that bundles are taken from', { sources: { labels: ['STICK'] } }, [row()], taken],
    [
      'on top of another, of the right label',
      { sources: { labels: ['STICK'] } },
      [row({ label: 'OTHER' }), row()],
      taken,
    ],
    [
      'below another of the right label',
      { sources: { labels: ['STICK'] } },
      [row(), row({ label: 'OTHER' })],
      left,
    ],
    [
      'beside another of the right label',
      { sources: { labels: ['STICK'] } },
      [row({ label: 'OTHER' }), row({ target: '/mnt', source: '/dev/sdc1', 'maj:min': '8:33' })],
      left,
    ],
    ['that the table of mounts does not show', {}, [], taken],
    ['that the table does not show, where none is taken', { sources: { media: false } }, [], left],
  ] as const)
    test(`of a medium ${what} people are told whether it is read`, async (t) => {
      const { said, events } = await mounted(t, { policy, mounts });
      assert.equal(said, expected);
      assert.equal(events.at(-1)?.isSource, expected === taken);
    });

  for (const [what, blkid, policy, because] of [
    ['without a file system', '', {}, 'it has no file system'],
    ['of a file system that is not mounted', 'TYPE=ntfs\n', {}, 'its file system is ntfs'],
    [
      'where the policy mounts none',
      'TYPE=vfat\n',
      { media: { mount: false } },
      'the policy has no `media.mount`',
    ],
  ] as const)
    test(`a medium ${what} is left alone, and nothing is said at the console`, async (t) => {
      const { programs, said, events, fault } = await mounted(t, { blkid, policy });
      assert.deepEqual([programs, said, fault], [['blkid'], '', undefined]);
      assert.deepEqual(events, [{ event: 'medium-left-alone', device: '/dev/sdb1', because }]);
    });

  test('one that can’t be mounted is named at the console, and is a fault', async (t) => {
    const answer = ([program]: readonly string[]) => (program === 'mount' ? { exitCode: 32 } : undefined);
    const { said, fault, events } = await mounted(t, { answer });
    assert.equal(said, '\r\nnixmaker: The medium at sdb1 cannot be read. Use another one.\r\n');
    assert.equal(fault.code, 'io-error');
    assert.deepEqual(events, []);
  });

  for (const [kind, activation, expected] of [
    ['own', 'systemd', /^\r\nnixmaker: Nothing new for this machine. You may remove the medium.\r\n$/],
    ['foreign', 'systemd', /You may unmount and remove/],
    ['folder', 'systemd', /^$/],
    ['own', 'direct', /^$/],
  ] as const)
    test(`that ${kind === 'folder' ? 'a folder' : `a medium (${kind})`} is done with is said at the console, or not, under ${activation}`, async (t) => {
      writeFileSync(lines, '');
      const { machine } = await rootInMemory(t, { settings: { activation } });
      await tellPeople(machine, { place: { kind, root: '/x', id: 'x' } });
      assert.match(readFileSync(lines, 'utf8'), expected);
    });
});
