/**
 * Root comes to what lies in folders that others own by one module, src/files/foreign.ts. Every file that a command of root’s can load
 * and that can open something by its name is in a list here, with whose things it opens; one that is new is forbidden until somebody has
 * put it there. What it does is seen under strace in test/system/foreign.test.ts.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { importsOf, reachedFrom, readImportGraph, resolved } from './imports.ts';

const checkout = new URL('../..', import.meta.url).pathname;
const graph = readImportGraph(checkout, 'src');
const read = (file: string) => readFileSync(join(checkout, file), 'utf8');

/** All that root can start on a target, `nixmaker agent --once` included. What is the desk’s is not followed: a target has no desk. */
const isDesks = (file: string) => /^src\/(desk|cli\/desk)\//.test(file);
const targets = new Map([...graph].filter(([file]) => !isDesks(file)));
const entries = [...targets.keys()].filter((file) => /^src\/cli\/(target|units)\//.test(file));
const reached = [...reachedFrom(targets, entries)].filter((file) => targets.has(file));

const theOneWay = 'src/files/foreign.ts';

/** Helpers that take names as they are: for folders of a process’s own. */
const byName = ['src/files/folder.ts', 'src/files/read.ts', 'src/files/write.ts', 'src/state/durable.ts'];

/** Packages that open, watch or change things by their names. */
const packages = /^(node:fs(\/promises)?|write-file-atomic|chokidar)$/;

/** Of a file: how it can come to a file system, but by the one way. */
function waysOf(file: string, text: string): string[] {
  const code = text.replace(/^import type [^;]*;$/gm, '');
  const own = importsOf(code).filter((specifier) => packages.test(specifier));
  return [...own, ...resolved(file, code).files.filter((used) => byName.includes(used))];
}

/** Each file that has such a way, by whose things it opens. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  'the one way': [theOneWay],
  'what is below a folder that foreign.ts has opened: nothing is opened here': [
    'src/media/watch-inbox.ts',
    'src/media/archive.ts',
    'src/media/deliver.ts',
    'src/media/inbox.ts',
    'src/media/retain.ts',
    'src/bundle/pool.ts',
    'src/target/service/keyrings.ts',
    'src/target/install/stick.ts',
  ],
  'only whether it is there, how large, of when: nothing is opened': [
    'src/bundle/parts.ts',
    'src/target/inspect/carriers.ts',
    'src/target/media/at-hand.ts',
    'src/target/media/queue.ts',
    'src/target/service/judge-file.ts',
    'src/target/update/lookalikes.ts',
    'src/media/space.ts',
    'src/cli/target/operations.ts',
    'src/target/activate/boot-verb.ts',
    'src/target/inspect/boot.ts',
    'src/target/inspect/doctor.ts',
    'src/target/inspect/media-roots.ts',
    'src/target/update/clear-begun.ts',
    'src/target/update/in-hand.ts',
  ],
  'only that something has changed: nothing is opened, no link followed': ['src/media/watch-files.ts'],
  'a folder of the process’s own: settingsFor (target/machine/machine.ts) sees to it': [
    ...byName,
    'src/state/after-hook.ts',
    'src/state/answers.ts',
    'src/state/contents-record.ts',
    'src/state/freed.ts',
    'src/state/in-hand.ts',
    'src/state/journal.ts',
    'src/state/lock.ts',
    'src/state/outbox.ts',
    'src/state/own.ts',
    'src/state/parts.ts',
    'src/target/machine/part-roots.ts',
    'src/target/inspect/agent-rights.ts',
    'src/state/progress.ts',
    'src/state/receipts.ts',
    'src/state/screen.ts',
    'src/target/desktop/told.ts',
    'src/state/staged.ts',
    'src/state/two-copies.ts',
    'src/state/kept-releases.ts',
    'src/state/unverified.ts',
    'src/state/vouchers.ts',
    'src/state/waits.ts',
    'src/target/machine/import-roots.ts',
    'src/target/machine/store-public-key.ts',
    'src/target/root/host-key.ts',
    'src/target/root/drop-lost.ts',
    'src/target/root/store-key.ts',
    'src/target/update/open.ts',
    'src/target/update/stdin.ts',
    'src/target/update/take.ts',
    'src/target/update/unsigned.ts',
    'src/bundle/classic.ts',
    'src/media/mount.ts',
  ],
  'written by the agent, with the agent’s rights; what root reads or removes of it goes through foreign.ts': [
    'src/state/put-aside.ts',
    'src/state/requests.ts',
    'src/state/waiting.ts',
    'src/target/machine/age-key.ts',
    'src/target/service/agent.ts',
  ],
  'the system, its store, /boot, /proc and /dev': [
    'src/target/desktop/facts.ts',
    'src/activation/boot-files.ts',
    'src/activation/boot-menu.ts',
    'src/activation/boot-mounted.ts',
    'src/activation/boot-room.ts',
    'src/activation/inspect.ts',
    'src/activation/switch.ts',
    'src/nix/nar.ts',
    'src/media/hot-plugged.ts',
    'src/media/in-use.ts',
    'src/media/mounts.ts',
    'src/nix/contents.ts',
    'src/nix/links.ts',
    'src/nix/lost.ts',
    'src/nix/profile.ts',
    'src/nix/replace-path.ts',
    'src/nix/roots.ts',
    'src/state/floor.ts',
    'src/target/activate/leave.ts',
    'src/target/activate/system-diff.ts',
    'src/target/activate/usable.ts',
    'src/target/machine/generations.ts',
    'src/target/machine/machine.ts',
    'src/target/root/console.ts',
    'src/target/root/hardware.ts',
    'src/target/root/host-facts.ts',
    'src/target/install/disk-script.ts',
    'src/target/install/marks.ts',
  ],
  'the new system’s, below a root that belongs to nobody but root yet; requireBelow sees that no link leads out':
    [
      'src/target/install/check-release.ts',
      'src/target/install/check-root.ts',
      'src/target/install/cut-off.ts',
      'src/target/install/enter-root.ts',
      'src/target/install/keys.ts',
      'src/target/install/record.ts',
      'src/target/install/root-folder.ts',
      'src/target/install/steps.ts',
    ],
  'a folder that `fetch` fills: as root only if it is root’s (target/fetch/fetch.ts)': [
    'src/bundle/pool-prune.ts',
    'src/bundle/pool-write.ts',
    'src/files/past-cache.ts',
    'src/files/turn.ts',
    'src/target/fetch/download.ts',
    'src/target/fetch/fetch.ts',
    'src/target/fetch/keep-release.ts',
    'src/target/fetch/send-receipts.ts',
  ],
  'what an operator names': [
    'src/activation/program.ts',
    'src/network/connection.ts',
    'src/target/install/choose.ts',
    'src/target/install/find-release.ts',
    'src/bundle/encrypted.ts',
    'src/cli/target/diff.ts',
    'src/state/config.ts',
    'src/target/service/hooks.ts',
    'src/target/service/metrics.ts',
    'src/target/service/successor.ts',
  ],
};

test('each file by which root can open something by its name is known, with whose things it opens', () => {
  assert.ok(reached.length > 150);
  const listed = Object.values(allowed).flat();
  assert.equal(new Set(listed).size, listed.length, 'one is in the list twice');
  const found = reached.filter((file) => waysOf(file, read(file)).length > 0);
  assert.deepEqual(
    found.filter((file) => !listed.includes(file)),
    [],
    'not in the list',
  );
  assert.deepEqual(
    listed.filter((file) => !found.includes(file)),
    [],
    'in the list for nothing',
  );
});

/** Of node:fs: what neither opens a file nor follows the last name of a path (link(2) follows neither); what is watched is the open folder. */
const harmless = /^(link|lstat|lutimes|mkdir|rename|unlink|rmdir|readdir|opendir|watch|FSWatcher)$/;
const looks = /^(lstat|stat|statSync|statfs|access|realpath|constants)$/;

function usedOf(text: string): string[] {
  const statements = [...text.matchAll(/import\s*\{([^}]*)\}\s*from\s*'node:fs(?:\/promises)?'/g)];
  return statements
    .flatMap(([, names = '']) => names.split(','))
    .map((name) => name.trim().replace(/^type /, ''))
    .filter((name) => name !== '' && name !== 'FileHandle');
}

for (const [whose, files] of Object.entries(allowed).filter(([whose]) => whose.includes('nothing is opened')))
  test(`${whose}: and it is so`, () => {
    const good = whose.startsWith('only') ? looks : harmless;
    for (const file of files)
      assert.deepEqual(
        usedOf(read(file)).filter((name) => !good.test(name)),
        [],
        file,
      );
  });

/** Folders that others own, by the names they have in the code. */
const theirs = /settings\.inbox\b|\bagentDirectory\b|\brequestsDirectory\b/;

/** Where they are named, and what is done with them there. */
const named: Readonly<Record<string, string>> = {
  'src/target/root/host-receipts.ts': 'readWaits, by readForeign',
  'src/target/inspect/agent-rights.ts': 'withForeign; the rest is asked with the agent’s rights',
  'src/target/inspect/carriers.ts': 'types only; asked with the agent’s rights',
  'src/target/inspect/doctor.ts': 'withForeign',
  'src/target/inspect/waiting.ts': 'listInbox',
  'src/target/install/new-machine.ts': 'types only',
  'src/target/machine/age-key.ts': 'readForeign, withForeign',
  'src/target/machine/machine.ts': 'it is said what they are',
  'src/target/root/reboot.ts': 'acquireForeignLock',
  'src/target/root/serve-requests.ts': 'serveRequests',
  'src/target/service/agent.ts': 'made where it is missing',
  'src/target/service/inbox-rounds.ts': 'listInbox',
  'src/target/service/keyrings.ts': 'withForeign',
  'src/target/service/take-candidate.ts': 'archive',
  'src/target/update/open.ts': 'types only',
  'src/target/update/stdin.ts': 'types only',
};

test('where a folder that others own is named, it is known what is done with it', () => {
  assert.deepEqual(reached.filter((file) => theirs.test(read(file))).sort(), Object.keys(named).sort());
});

test('one more way would be found', () => {
  for (const text of [
    "import { readFile } from 'node:fs/promises';",
    "import * as fs from 'node:fs';",
    "const { open } = await import('node:fs/promises');",
    "import writeFileAtomic from 'write-file-atomic';",
    "import { readIfThere } from '../../files/read.ts';",
  ])
    assert.equal(waysOf('src/target/root/x.ts', text).length, 1, text);
  assert.deepEqual(
    waysOf('src/target/root/x.ts', "import { readForeign } from '../../files/foreign.ts';"),
    [],
  );
  assert.deepEqual(usedOf("import { type FileHandle, open, rm } from 'node:fs/promises';"), ['open', 'rm']);
  assert.ok(reached.includes('src/target/root/serve.ts') && reached.includes('src/target/service/agent.ts'));
});
