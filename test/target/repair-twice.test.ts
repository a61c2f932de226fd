/** A person repairs while the agent does: each exchanges what the other has not, and nothing is exchanged back. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startByHand } from '../machines/by-hand.ts';
import { main } from '../machines/compiled.ts';
import { exchangingMv } from '../machines/exchanging.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { released } from '../support/released.ts';
import { Targets } from '../support/targets.ts';

const shop = await makeWorkshop();
const targets = new Targets(shop);
const bundle = await targets.release('one');
const own = await exchangingMv(join(shop.folder, 'bin'));
const slow = join(shop.folder, 'slow');

/** A sync(1) that stands still the second time it is called: what is to be exchanged was looked at, and is about to be. */
async function standingSync(path: string): Promise<void> {
  await mkdir(slow);
  const script = `#!/bin/sh
echo >>${slow}/calls
if [ "$(wc -l <${slow}/calls)" = 2 ]; then
  echo >${slow}/stands
  until [ -e ${slow}/go ]; do sleep 0.05; done
fi
PATH=${path} exec sync "$@"
`;
  await writeFile(join(slow, 'sync'), script);
  await chmod(join(slow, 'sync'), 0o755);
}

test('two repairs at one time leave what each has repaired', async () => {
  const { target } = await targets.running();
  const { PATH: plain = '' } = target.env as { PATH?: string };
  const path = own === undefined ? plain : `${own}:${plain}`;
  await standingSync(path);
  const { paths } = await released(bundle);
  const base = paths.find((p) => p.path.includes('-sample-base-'))?.path ?? '';
  const file = join(target.root, base, 'share/manual');
  const good = await readFile(file);
  await writeFile(file, Buffer.concat([Buffer.from('X'), good.subarray(1)]));
  const start = (with_: string) => {
    const call = ['repair', '--settings', target.settingsFile, bundle];
    const job = startByHand(target, ['env', `PATH=${with_}`, process.execPath, main, ...call]);
    const state = { isOver: false };
    void job.ended.then(() => {
      state.isOver = true;
    });
    return { ...job, state };
  };
  const first = start(`${slow}:${path}`);
  while (!existsSync(join(slow, 'stands'))) {
    assert.ok(!first.state.isOver, first.saidSoFar());
    await sleep(20);
  }
  const second = start(path);
  const lock = join(target.stateDirectory, 'repair.lock');
  const isWaiting = async () => {
    const inode = (await stat(lock).catch(() => undefined))?.ino ?? 'none';
    return new RegExp(`-> FLOCK .*:${inode} `).test(await readFile('/proc/locks', 'utf8'));
  };
  while (!second.state.isOver && !(await isWaiting())) await sleep(20);
  await writeFile(join(slow, 'go'), '');
  for (const { ended } of [first, second]) {
    const { code, stderr } = await ended;
    assert.equal(code, 0, stderr);
  }
  assert.deepEqual(await readFile(file), good);
  await rm(slow, { recursive: true });
});
