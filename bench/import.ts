/** From a file on disk to valid, flushed store paths: the agent, Nix from a plain folder of the same NARs, and the classic way. */
import { copyFile, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { readAnyIndex } from '../src/desk/keys/read-release.ts';
import { run } from '../test/machines/program.ts';
import type { PackFigures } from './pack.ts';
import { type Key, median, must, processorSeconds, seconds } from './system.ts';
import { freshTarget, peakMemory, removeFolder } from './target.ts';

export interface ImportFigures {
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
}

export async function measureImport(
  place: string,
  { pack, key, repeats }: { pack: PackFigures; key: Key; repeats: number },
): Promise<ImportFigures> {
  const unpacked = join(place, 'untarred');
  await mkdir(unpacked);
  must(await run('tar', ['-xf', pack.bundle, '-C', unpacked]));
  const flush = 'sync -f /nix/store';

  const { index } = await readAnyIndex(pack.bundle);
  const paths = index.paths().map((path) => join(place, 'builder', path));
  const floorTakes = async (name: string) => {
    const copy = join(place, name);
    await mkdir(copy);
    const script = `find "$1/nar" -name '*.zst' -exec zstd -dqc {} + | sha256sum >/dev/null; to=$2; shift 2; cp -a "$@" "$to"; sync --file-system "$to"`;
    await run('sync', []);
    let time = Number.NaN;
    const processor = await processorSeconds(async () => {
      time = await seconds(async () =>
        must(await run('sh', ['-euc', script, 'sh', unpacked, copy, ...paths])),
      );
    });
    await removeFolder(copy);
    return { time, processor };
  };
  /** What it takes to start and stop everything. */
  const nothing = async (isAgent: boolean) =>
    processorSeconds(async () => {
      const { target, remove } = await freshTarget(join(place, 'nothing'), { key });
      if (isAgent) await (await target.startAgent()).stop();
      await remove();
    });
  const started = { take: await nothing(true), plain: await nothing(false) };

  const agentTakes = async (name: string, nixConf: string) => {
    const { target, remove } = await freshTarget(join(place, name), { key, nixConf });
    const agent = await target.startAgent();
    await copyFile(pack.bundle, join(target.inbox, '.web.tar'));
    await run('sync', []);
    let imported = Number.NaN;
    const take = await seconds(async () => {
      must(await run('mv', [join(target.inbox, '.web.tar'), join(target.inbox, 'web.tar')]));
      const line = await agent.waitFor((l) => l.event === 'committed', 600_000);
      imported = (line.imported as { milliseconds: number }).milliseconds / 1000;
    });
    const memory = await peakMemory(agent.child.pid as number);
    await agent.stop();
    await remove();
    return { take, imported, memory };
  };

  const nixTakes = async (name: string, script: string, ...args: string[]) => {
    const { target, remove } = await freshTarget(join(place, name), { key, nixConf: 'require-sigs = false' });
    const time = await seconds(async () =>
      must(await target.run(['sh', '-euc', `${script}; ${flush}`, 'sh', ...args])),
    );
    await remove();
    return time;
  };

  const rounds: {
    ours: Awaited<ReturnType<typeof agentTakes>>;
    floor: Awaited<ReturnType<typeof floorTakes>>;
    processor: { take: number; plain: number };
    durable: number;
    plain: number;
    classic: number;
  }[] = [];
  for (let round = 0; round < repeats; round++) {
    const processor = { take: 0, plain: 0 };
    const measure = async <T>(kind: keyof typeof processor, work: () => Promise<T>): Promise<T> => {
      let result: T | undefined;
      processor[kind] = await processorSeconds(async () => {
        result = await work();
      });
      return result as T;
    };
    rounds.push({
      floor: await floorTakes(`floor-${round}`),
      ours: await measure('take', () => agentTakes(`ours-${round}`, '')),
      plain: await measure('plain', () =>
        nixTakes(`plain-${round}`, 'nix copy --from "file://$1" --to daemon "$2"', unpacked, pack.toplevel),
      ),
      processor,
      classic: await nixTakes(
        `classic-${round}`,
        'mkdir "$3"; tar -xzf "$1" -C "$3"; nix copy --no-check-sigs --from "$3" --to daemon "$2"',
        pack.classic,
        pack.toplevel,
        join(place, `classic-${round}`, 'unpacked'),
      ),
      durable: (await agentTakes(`durable-${round}`, 'fsync-store-paths = true')).imported,
    });
  }
  await removeFolder(unpacked);
  return {
    take: median(rounds.map((r) => r.ours.take)),
    importOnly: median(rounds.map((r) => r.ours.imported)),
    importDurable: median(rounds.map((r) => r.durable)),
    plain: median(rounds.map((r) => r.plain)),
    classic: median(rounds.map((r) => r.classic)),
    memory: Math.max(...rounds.map((r) => r.ours.memory)),
    floor: median(rounds.map((r) => r.floor.time)),
    processor: {
      take: median(rounds.map((r) => r.processor.take)) - started.take,
      plain: median(rounds.map((r) => r.processor.plain)) - started.plain,
      floor: median(rounds.map((r) => r.floor.processor)),
    },
    refuse: await measureRefusal(place, { bundle: pack.bundle, key }),
  };
}

async function measureRefusal(place: string, { bundle, key }: { bundle: string; key: Key }): Promise<number> {
  const { target, remove } = await freshTarget(join(place, 'refusing'), { key });
  const agent = await target.startAgent();
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
