/** Releases of one system since the previous one, in three shapes (system.ts): their size, and the time to build and take them. */
import { copyFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Builder } from '../test/machines/builder.ts';
import { startInstalled } from '../test/machines/installed.ts';
import { run } from '../test/machines/program.ts';
import { type Key, must, type Shape, seconds, toplevelOf, writeSystem } from './system.ts';
import { freshTarget, peakMemory } from './target.ts';

export interface ReleaseFigures {
  readonly shape: Shape;
  readonly wholeBytes: number;
  readonly bytes: number;
  readonly deltas: number;
  /** Seconds. */
  readonly build: number;
  readonly take: number;
  /** Peak resident memory in bytes of the agent that took the previous release and this one. */
  readonly memory: number;
}

export async function measureReleases(
  place: string,
  { builder, key, count }: { builder: Builder; key: Key; count: number },
): Promise<ReleaseFigures[]> {
  const build = async (shape: Shape, sequence: number, ...since: readonly string[]) => {
    const flake = join(place, `release-${shape}`);
    await writeSystem(flake, { shape, count });
    must(await builder.run(['nix', 'build', '--no-link', toplevelOf(flake)]));
    const out = join(place, `${shape}-${since.length === 0 ? 'whole' : 'delta'}`);
    const args = [
      '-f',
      `path:${flake}`,
      '-d',
      out,
      '--key',
      key.file,
      '--sequence',
      String(sequence - 1),
      '--no-cache',
    ];
    const time = await seconds(async () => must(await builder.nixmaker(['build', ...args, ...since])));
    const path = join(out, 'host/host.tar');
    return { time, path, bytes: (await stat(path)).size };
  };
  const first = await build('first', 1);
  const releases: ReleaseFigures[] = [];
  for (const shape of ['config', 'library', 'rebuild'] as const) {
    const whole = await build(shape, 2);
    const delta = await build(shape, 2, '--since', first.path);
    const { target, remove } = await freshTarget(join(place, `target-${shape}`), { key });
    const agent = await startInstalled(target);
    const take = async (path: string, sequence: number) => {
      await copyFile(path, join(target.inbox, '.web.tar'));
      return seconds(async () => {
        must(await run('mv', [join(target.inbox, '.web.tar'), join(target.inbox, `${sequence}.tar`)]));
        await agent.waitFor((l) => l.event === 'committed' && l.sequence === sequence, 600_000);
      });
    };
    await take(first.path, 1);
    const time = await take(delta.path, 2);
    const listed = must(await builder.nixmaker(['inspect', '--json', delta.path]));
    const { contents } = JSON.parse(listed.stdout) as { contents: { differences: number } };
    releases.push({
      shape,
      wholeBytes: whole.bytes,
      bytes: delta.bytes,
      deltas: contents.differences,
      build: delta.time,
      take: time,
      memory: await peakMemory(agent.child.pid as number),
    });
    await agent.stop();
    await remove();
  }
  return releases;
}
