/** The agent as installed: how soon it is ready, and what it uses and does while nothing happens. */
import { cp, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startInstalled } from '../test/machines/installed.ts';
import { checkout, run } from '../test/machines/program.ts';
import { type Key, median, must, seconds } from './system.ts';
import { freshTarget } from './target.ts';

export interface RestFigures {
  /** Seconds, medians of five; from the start of its process until it reports that it is ready. */
  readonly ready: number;
  readonly version: number;
  /** Bytes. */
  readonly resident: number;
  /** Of that, the agent's own, not shared with other programs (proc(5), RssAnon). */
  readonly own: number;
  /** How often one of its threads was put on a processor in a minute of rest. */
  readonly wakeups: number;
}

export async function measureRest(place: string, key: Key): Promise<RestFigures> {
  const installed = join(place, 'installed');
  await mkdir(installed);
  await cp(join(checkout, 'package.json'), join(installed, 'package.json'));
  must(await run(join(checkout, 'scripts/compile'), [join(installed, 'dist')]));
  const main = join(installed, 'dist/cli/main.cjs');
  const { target, remove } = await freshTarget(join(place, 'resting'), { key });
  const versions: number[] = [];
  /** What the target's sandbox uses before anything runs in it. */
  const sandboxes: number[] = [];
  const readies: number[] = [];
  let resident = 0;
  let own = 0;
  let wakeups = 0;
  for (let round = 0; round < 5; round++) {
    versions.push(await seconds(() => run(process.execPath, [main, '--version'])));
    sandboxes.push(await seconds(() => target.run(['true'])));
    const started = performance.now();
    const agent = await startInstalled(target, main);
    readies.push((performance.now() - started) / 1000);
    if (round === 4) {
      const status = () => readFile(`/proc/${agent.child.pid}/status`, 'utf8');
      // V8 collects once more some eight seconds after the last thing has happened.
      await sleep(20_000);
      const text = await status();
      resident = Number(/^VmRSS:\s+(\d+)/m.exec(text)?.[1]) * 1024;
      own = Number(/^RssAnon:\s+(\d+)/m.exec(text)?.[1]) * 1024;
      const before = await switches(agent.child.pid as number);
      await sleep(60_000);
      wakeups = (await switches(agent.child.pid as number)) - before;
    }
    await agent.stop();
  }
  await remove();
  return { ready: median(readies) - median(sandboxes), version: median(versions), resident, own, wakeups };
}

/** All its threads together (proc(5), voluntary_ctxt_switches). */
async function switches(pid: number): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`);
  const texts = await Promise.all(threads.map((t) => readFile(`/proc/${pid}/task/${t}/status`, 'utf8')));
  return texts.reduce((sum, text) => sum + Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(text)?.[1]), 0);
}
