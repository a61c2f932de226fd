/**
 * What never answers in the inbox: a file and a folder behind a FUSE server that does nothing, as whoever may drop bundles can mount
 * there. Their neighbours are taken, they are named once, whoever asks is told, and they are taken as soon as they answer.
 */
import assert from 'node:assert/strict';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Status } from '../../src/target/inspect/status.ts';
import { unmount } from '../support/dead-mount.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { serveFuse } from '../support/fuse.ts';
import { Targets } from '../support/targets.ts';

const targets = new Targets(await makeWorkshop());

test('a file and a folder that never answer keep nothing else in the inbox waiting', async (t) => {
  const target = await targets.fresh({ settings: { media: { patience: 1 } } });
  const { inbox } = target;
  const source = join(targets.shop.folder, 'source');
  await mkdir(source);
  await copyFile(await targets.release('stuck', '--sequence', '90'), join(source, 'web.tar'));
  const [file, folder] = [join(inbox, 'a.tar'), join(inbox, 'a-folder')];
  await writeFile(file, '');
  await mkdir(folder);
  const end = [
    await serveFuse(target, { source: join(source, 'web.tar'), at: file, silent: ['read'] }),
    await serveFuse(target, { source, at: folder, silent: ['readdir'] }),
  ];
  // Else what waits there could not even be ended.
  t.after(() => Promise.all(end.map((stop) => stop())));
  const agent = await target.startAgent();
  for (const [name, after] of [
    ['one', 10],
    ['two', 20],
  ] as const) {
    const before = new Set(agent.log().map((l) => l.transaction));
    await copyFile(await targets.release(name, '--sequence', String(after)), join(inbox, 'web.tar'));
    const { transaction } = await agent.waitFor((l) => l.event === 'committed' && !before.has(l.transaction));
    // Until then it lies where the next one goes.
    await agent.waitFor((l) => l.event === 'settled' && l.transaction === transaction);
  }
  const told = agent.log().filter((l) => l.event === 'unreadable');
  assert.deepEqual(
    told.map((l) => `${l.source} ${l.code}`).sort(),
    [folder, file].map((path) => `${path} medium-stalled`).sort(),
    'each once',
  );
  assert.deepEqual(
    agent.log().filter((l) => l.event === 'fault' || l.event === 'raw'),
    [],
  );
  const status = JSON.parse((await target.verb('status', ['--json'])).stdout) as Status;
  assert.deepEqual(
    status.waits.map(({ path, code, detail }) => `${path} ${code}: ${detail}`).sort(),
    [folder, file].map((path) => `${path} medium-stalled: a read did not finish within 1 s`).sort(),
  );
  const doctor = await target.verb('doctor');
  assert.match(doctor.stdout, /^LOOK {2}waiting .*a\.tar:\s+medium-stalled/ms);

  for (const stop of end) await stop();
  for (const path of [file, folder]) await unmount(target, path);
  await copyFile(join(source, 'web.tar'), file);
  await agent.waitFor((l) => l.event === 'committed' && l.sequence === 91);
  await agent.stop();
});
