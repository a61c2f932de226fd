/** What holds the parts of a release that have come, and until when. */
import assert from 'node:assert/strict';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { partsFile, writeParts } from '../../../src/state/parts.ts';
import { dropDoneParts } from '../../../src/target/machine/part-roots.ts';
import { rootInMemory } from '../../support/root-machine.ts';

test('what is held is held for a set that is known of, and not for ever', async (t) => {
  const { machine } = await rootInMemory(t);
  const { stateDirectory } = machine.settings;
  const roots = join(stateDirectory, 'roots');
  await mkdir(roots, { recursive: true });
  for (const name of ['part-0', 'part-1', 'incoming']) await symlink('/nix/store/there', join(roots, name));
  const note = {
    host: 'web',
    sequence: 9,
    manifestDigest: 'd'.repeat(64),
    of: 3,
    needed: [2],
    here: 1,
    paths: 3,
  };
  await writeParts(stateDirectory, { ...note, at: machine.clock.now().toISOString() });
  await dropDoneParts(machine);
  assert.deepEqual(await readdir(roots), ['incoming', 'part-0', 'part-1']);
  await writeFile(partsFile(stateDirectory), 'torn');
  await dropDoneParts(machine);
  assert.deepEqual(await readdir(roots), ['incoming']);
});
