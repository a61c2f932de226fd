/** One bundle imported in several ways, each time into a new store; and what none of them can do without. */
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readAnyIndex } from '../src/desk/keys/read-release.ts';
import { startInstalled } from '../test/machines/installed.ts';
import { run } from '../test/machines/program.ts';
import { type Key, must, processorSeconds, seconds } from './system.ts';
import { freshTarget, peakMemory, removeFolder } from './target.ts';

/** What was built, and its store paths, which are in the builder’s store. */
export interface Imported {
  readonly bundle: string;
  readonly toplevel: string;
}

export interface Taken {
  /** Seconds, from the inbox until the system is committed. */
  readonly take: number;
  /** Of that, the import. */
  readonly imported: number;
  /** Bytes, the agent’s peak. */
  readonly memory: number;
}

/** Seconds, by the clock and of the processors. */
interface Floor {
  readonly time: number;
  readonly processor: number;
}

export interface Ways {
  /** Decompressing and hashing pieces, copying store paths (`cp -a`), and a flush. */
  readonly floor: () => Promise<Floor>;
  /** The agent, as installed. @param nixConf lines for the daemon’s configuration */
  readonly agent: (nixConf?: string) => Promise<Taken>;
  /** `nix copy` from a folder with the same NARs, through the daemon, and a flush. Seconds. */
  readonly plain: () => Promise<number>;
  /** A script’s work in the target’s namespace, where signatures are not required, and a flush. Seconds. */
  readonly script: (text: string, ...args: string[]) => Promise<number>;
  readonly close: () => Promise<void>;
}

export async function openWays(
  place: string,
  { bundle, toplevel }: Imported,
  { builder, key }: { readonly builder: string; readonly key: Key },
): Promise<Ways> {
  await mkdir(place);
  const unpacked = join(place, 'untarred');
  await mkdir(unpacked);
  must(await run('tar', ['-xf', bundle, '-C', unpacked]));
  const { index } = await readAnyIndex(bundle);
  const paths = index.paths().map((path) => join(builder, path));
  const target = join(place, 'target');
  const scriptTakes = async (nixConf: string, text: string, ...args: string[]) => {
    const fresh = await freshTarget(target, { key, nixConf });
    const call = ['sh', '-euc', `${text}; sync -f /nix/store`, 'sh', ...args];
    const time = await seconds(async () => must(await fresh.target.run(call)));
    await fresh.remove();
    return time;
  };
  return {
    floor: () => floorOf(join(place, 'copy'), unpacked, paths),
    agent: (nixConf = '') => takenByAgent(target, bundle, { key, nixConf }),
    // With signatures checked, as the agent’s are.
    plain: () => scriptTakes('', 'nix copy --from "file://$1" --to daemon "$2"', unpacked, toplevel),
    script: (text, ...args) => scriptTakes('require-sigs = false', text, ...args),
    close: () => removeFolder(place),
  };
}

async function floorOf(copy: string, unpacked: string, paths: readonly string[]): Promise<Floor> {
  await mkdir(copy);
  const script = `find "$1/nar" -name '*.zst' -exec zstd -dqc {} + | sha256sum >/dev/null; to=$2; shift 2; cp -a "$@" "$to"; sync --file-system "$to"`;
  await run('sync', []);
  let time = Number.NaN;
  const processor = await processorSeconds(async () => {
    time = await seconds(async () => must(await run('sh', ['-euc', script, 'sh', unpacked, copy, ...paths])));
  });
  await removeFolder(copy);
  return { time, processor };
}

async function takenByAgent(
  place: string,
  bundle: string,
  options: { readonly key: Key; readonly nixConf: string },
): Promise<Taken> {
  const { target, remove } = await freshTarget(place, options);
  const agent = await startInstalled(target);
  const hidden = join(target.inbox, '.web.tar');
  await copyFile(bundle, hidden);
  await run('sync', []);
  let imported = Number.NaN;
  const take = await seconds(async () => {
    must(await run('mv', [hidden, join(target.inbox, 'web.tar')]));
    const line = await agent.waitFor((l) => l.event === 'committed', 600_000);
    imported = (line.imported as { milliseconds: number }).milliseconds / 1000;
  });
  const memory = await peakMemory(agent.child.pid as number);
  await agent.stop();
  await remove();
  return { take, imported, memory };
}
