/** What the other tests rely on: a bundle that was built once and signed for another sequence is what a build with that sequence writes. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const shop = await makeWorkshop();

for (const sequence of ['0', '9', '409'])
  test(`above ${sequence}: the same bytes, and the same beside them`, async () => {
    const options = { hosts: { web: plainHost('web', 'sequences') }, args: ['--sequence', sequence] };
    const built = await shop.bundle(`built-${sequence}`, { ...options, keptFrom: 'nowhere' });
    const signed = await shop.bundle(`signed-${sequence}`, options);
    const beside = await readdir(dirname(built));
    assert.deepEqual(await readdir(dirname(signed)), beside);
    for (const name of beside)
      assert.ok(
        (await readFile(join(dirname(signed), name))).equals(await readFile(join(dirname(built), name))),
        name,
      );
  });
