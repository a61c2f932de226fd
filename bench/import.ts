/** From a file on disk to valid, flushed store paths: the agent, Nix from a plain folder of the same NARs, and the classic way. */
import { copyFile, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Builder } from '../test/machines/builder.ts';
import { startInstalled } from '../test/machines/installed.ts';
import { run } from '../test/machines/program.ts';
import { openWays } from './import-ways.ts';
import type { PackFigures } from './pack.ts';
import { type Key, median, must, processorSeconds, seconds, toplevelOf, writeSystem } from './system.ts';
import { freshTarget } from './target.ts';

export interface ImportFigures {
  readonly paths: number;
  /** Seconds, medians. From the inbox until the system is committed, everything checked and flushed. */
  readonly take: number;
  /** Of that, the import. */
  readonly importOnly: number;
  /** The same with `fsync-store-paths` in the daemon's configuration. */
  readonly importDurable: number;
  /** `nix copy --from file://` of the same bundle untarred, through the daemon, and one flush. */
  readonly plain: number;
  /** `tar -xzf`, `nix copy` from the folder through the daemon, and one flush. */
  readonly classic: number;
  /** From the inbox to the refusal of a bundle with a spoiled signature. */
  readonly refuse: number;
  readonly memory: number;
  /** What nothing can do without: decompressing and hashing pieces, copying store paths (`cp -a`), and a flush. */
  readonly floor: number;
  /** Processor seconds, client and daemon together, without what it takes to start them. */
  readonly processor: {
    readonly take: number;
    readonly plain: number;
    readonly floor: number;
  };
  /** Smaller systems, smallest first. */
  readonly smaller: readonly SizeFigures[];
}

/** Seconds, medians. */
export interface SizeFigures {
  readonly paths: number;
  readonly importOnly: number;
  readonly plain: number;
  readonly floor: number;
}

interface Measuring {
  readonly builder: Builder;
  readonly pack: PackFigures;
  readonly key: Key;
  readonly repeats: number;
  /** Of smaller systems: how many paths. */
  readonly smaller: readonly number[];
}

export async function measureImport(place: string, measuring: Measuring): Promise<ImportFigures> {
  const { pack, key, repeats } = measuring;
  const store = { builder: join(place, 'builder'), key };
  const smaller: SizeFigures[] = [];
  for (const count of measuring.smaller) smaller.push(await measureSize(place, count, measuring));
  /** What it takes to start and stop everything. */
  const nothing = (isAgent: boolean) =>
    processorSeconds(async () => {
      const { target, remove } = await freshTarget(join(place, 'nothing'), { key });
      if (isAgent) await (await startInstalled(target)).stop();
      await remove();
    });
  const started = { take: await nothing(true), plain: await nothing(false) };
  const ways = await openWays(join(place, 'import'), pack, store);
  const classically =
    'mkdir "$3"; tar -xzf "$1" -C "$3"; nix copy --no-check-sigs --from "$3" --to daemon "$2"';
  const unpacked = join(place, 'import/target/unpacked');
  const rounds = await severalTimes(repeats, async () => ({
    floor: await ways.floor(),
    ours: await withProcessor(ways.agent),
    plain: await withProcessor(ways.plain),
    classic: await ways.script(classically, pack.classic, pack.toplevel, unpacked),
    durable: (await ways.agent('fsync-store-paths = true')).imported,
  }));
  await ways.close();
  const middle = (figure: (round: (typeof rounds)[number]) => number) => median(rounds.map(figure));
  return {
    paths: pack.paths,
    take: middle((r) => r.ours.result.take),
    importOnly: middle((r) => r.ours.result.imported),
    importDurable: middle((r) => r.durable),
    plain: middle((r) => r.plain.result),
    classic: middle((r) => r.classic),
    memory: Math.max(...rounds.map((r) => r.ours.result.memory)),
    floor: middle((r) => r.floor.time),
    processor: {
      take: middle((r) => r.ours.processor) - started.take,
      plain: middle((r) => r.plain.processor) - started.plain,
      floor: middle((r) => r.floor.processor),
    },
    refuse: await measureRefusal(place, { bundle: pack.bundle, key }),
    smaller,
  };
}

async function severalTimes<T>(times: number, work: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  while (results.length < times) results.push(await work());
  return results;
}

async function withProcessor<T>(work: () => Promise<T>): Promise<{ result: T; processor: number }> {
  let result: T | undefined;
  const processor = await processorSeconds(async () => {
    result = await work();
  });
  return { result: result as T, processor };
}

/** The import alone, of a system of its own. */
async function measureSize(
  place: string,
  count: number,
  { builder, key, repeats }: Measuring,
): Promise<SizeFigures> {
  const flake = join(place, `import-${count}-flake`);
  await writeSystem(flake, { count });
  const build = ['nix', 'build', '--no-link', '--print-out-paths', toplevelOf(flake)];
  const toplevel = must(await builder.run(build)).stdout.trim();
  const out = join(place, `import-${count}-out`);
  must(await builder.nixmaker(['build', '-f', `path:${flake}`, '-d', out, '--key', key.file]));
  const bundle = join(out, 'host/host.tar');
  const store = { builder: join(place, 'builder'), key };
  const ways = await openWays(join(place, `import-${count}`), { bundle, toplevel }, store);
  const rounds = await severalTimes(repeats, async () => ({
    floor: (await ways.floor()).time,
    importOnly: (await ways.agent()).imported,
    plain: await ways.plain(),
  }));
  await ways.close();
  return {
    paths: count,
    importOnly: median(rounds.map((r) => r.importOnly)),
    plain: median(rounds.map((r) => r.plain)),
    floor: median(rounds.map((r) => r.floor)),
  };
}

async function measureRefusal(place: string, { bundle, key }: { bundle: string; key: Key }): Promise<number> {
  const { target, remove } = await freshTarget(join(place, 'refusing'), { key });
  const agent = await startInstalled(target);
  const hidden = join(target.inbox, '.web.tar');
  await copyFile(bundle, hidden);
  const file = await open(hidden, 'r+');
  // Inside the manifest, which begins after its header of 512 bytes.
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, 600);
  await file.write(Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, 600);
  await file.close();
  const time = await seconds(async () => {
    must(await run('mv', [hidden, join(target.inbox, 'web.tar')]));
    await agent.waitFor((l) => l.event === 'refused', 60_000);
  });
  await agent.stop();
  await remove();
  return time;
}
