/** notice-probe.ts FOLDER: in its own mount namespace, mounts there and listens as the agent does; prints JSON. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { listMounts, mediaAmong } from '../src/media/mounts.ts';
import { watchMounts } from '../src/media/watch-mounts.ts';
import { systemClock } from '../src/process/clock.ts';
import { listenToProgram, runProgram } from '../src/process/run.ts';
import { run } from '../test/machines/program.ts';

const [root = ''] = process.argv.slice(2);
const rounds = 20;

let found: { readonly target: string; readonly at: number } | undefined;
let heard = () => {};
const watch = watchMounts({ listen: listenToProgram, clock: systemClock }, () => {
  void (async () => {
    const media = mediaAmong(await listMounts(runProgram), [root]);
    const newest = media.at(-1);
    if (newest === undefined) return;
    found = { target: newest.target, at: performance.now() };
    heard();
  })();
});

/** findmnt does not report when it has begun to listen: mount until it notices. */
const noticed = async (target: string): Promise<number> => {
  const mounted = performance.now();
  while (found?.target !== target)
    await new Promise<void>((resolve) => {
      heard = resolve;
    });
  return found.at - mounted;
};

async function mount(round: number): Promise<string> {
  const target = join(root, `stick ${round}`);
  await mkdir(target, { recursive: true });
  const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'stick', target]);
  if (mounted.code !== 0) throw new Error(mounted.stderr);
  return target;
}

const times: number[] = [];
for (let round = 0; round <= rounds; round++) {
  const target = await mount(round);
  if (round === 0) {
    while (found === undefined) {
      await run('umount', [target]);
      await mount(round);
      await sleep(100);
    }
  } else times.push(await noticed(target));
  await run('umount', [target]);
}
await watch.close();
times.sort((a, b) => a - b);
process.stdout.write(JSON.stringify({ median: times[rounds / 2], worst: times.at(-1) }));
