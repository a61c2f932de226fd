/** What waits: tried less and less often, on record once with its reason, and told to whoever asks. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { limits } from '../../src/core/limits.ts';
import { readWaits, waitsFile } from '../../src/state/waits.ts';
import type { Status } from '../../src/target/inspect/status.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { Targets } from '../support/targets.ts';

const targets = new Targets(await makeWorkshop());

test('a bundle at a carrier’s that waits leaves one run in the journal, however often it is tried', async () => {
  const carried = join(targets.shop.folder, 'carried');
  await mkdir(carried);
  const target = await targets.fresh({ policy: { media: { folders: [carried] } } });
  await copyFile(await targets.release('one'), join(carried, 'web.tar'));
  await target.stopDaemon();
  const agent = await target.startAgent();
  await agent.waitFor((l) => l.event === 'deferred' || l.event === 'passed-over');
  const journal = join(target.stateDirectory, 'journal');
  const begun = await readFile(journal, 'utf8');
  const runtime = join(target.root, 'runtime');
  let waits = await readWaits(runtime);
  for (; (waits.waits[0]?.tries ?? 0) < 3; waits = await readWaits(runtime))
    await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(await readFile(journal, 'utf8'), begun);
  assert.equal(agent.log().filter((l) => l.event === 'deferred').length, 1);
  assert.ok((await stat(waitsFile(runtime))).size < limits.waitsBytes);
  assert.match(
    (await target.verb('status')).stdout.replaceAll(/\n +/g, ' '),
    /^Waiting: +\S+web\.tar: nix-unavailable \(cannot connect .*\), since .* UTC, tried \d times, next try at [-\d]+ [\d:]+ UTC$/m,
  );
  const status = JSON.parse((await target.verb('status', ['--json'])).stdout) as Status;
  assert.deepEqual(
    status.waits.map(({ path, code }) => [path, code]),
    [[join(carried, 'web.tar'), 'nix-unavailable']],
  );
  await target.startDaemon();
  await agent.waitFor((l) => l.event === 'committed');
  await agent.stop();
  // All of the run that came to something is on record, from its beginning.
  const all = (await readFile(journal, 'utf8')).slice(begun.length);
  assert.match(all, /"discovered".*"verified".*"accepted".*"imported".*"committed"/s);
  assert.match((await target.verb('status')).stdout, /^Waiting: +nothing$/m);
});
