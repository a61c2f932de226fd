/** What lies where requests are looked for, and can be neither removed nor renamed: the helper fails, and is started after a pause. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { visitRequests } from '../../../src/state/requests.ts';
import { serveAll } from '../../../src/target/root/serve-requests.ts';
import { inOwnStore } from '../../support/own-store.ts';
import { rootInMemory } from '../../support/root-machine.ts';

inOwnStore(import.meta.url, () => {
  test('a mount point in the place of a request is named', async (t) => {
    const { machine } = await rootInMemory(t);
    const place = join(machine.requestsDirectory, visitRequests.folder, 'a.json');
    await mkdir(place, { recursive: true });
    // No rename(2) and no rmdir(2) moves it (EBUSY).
    execFileSync('mount', ['-t', 'tmpfs', 'none', place]);
    const nobody = async () => assert.fail('it is no request');
    try {
      await assert.rejects(serveAll(machine, visitRequests, nobody), {
        code: 'io-error',
        detail: 'visits/a.json can neither be removed nor renamed',
      });
    } finally {
      execFileSync('umount', [place]);
    }
  });
});
