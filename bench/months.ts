/**
 * Twelve months of a system made of real packages (npm-bytes.ts), rebuilt in full each month: how large a bundle is, compared with a whole
 * one and with file-level and block-level methods, from month to month, from quarter to quarter, and over the whole time.
 */
import { copyFile, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Builder, copySample } from '../test/machines/builder.ts';
import { startInstalled } from '../test/machines/installed.ts';
import { checkout, nixSystem, run } from '../test/machines/program.ts';
import { forgetPackages, type PackageAtPoint, packagesByMonth } from './npm-bytes.ts';
import { newIn, type Parts, partsOf } from './other-methods.ts';
import { type Key, must, processorSeconds, seconds, toplevelOf } from './system.ts';
import { freshTarget, peakMemory } from './target.ts';

export interface Jump {
  readonly kind: 'month' | 'quarter' | 'year';
  readonly from: number;
  readonly to: number;
  /** Bytes. */
  readonly whole: number;
  readonly ours: number;
  readonly files: number;
  /** NaN without casync. */
  readonly chunks: number;
  /** Processor seconds; and of a whole bundle. */
  readonly build: number;
  readonly buildWhole: number;
}

export interface Taken {
  readonly kind: Jump['kind'];
  /** Seconds from the inbox until committed; and the agent’s peak memory, in bytes. */
  readonly take: number;
  readonly takeWhole: number;
  readonly memory: number;
}

export interface MonthsFigures {
  readonly packages: number;
  readonly bytes: number;
  readonly jumps: readonly Jump[];
  readonly taken: readonly Taken[];
  /** For hosts with any of the three preceding months. */
  readonly several: { readonly ours: number; readonly whole: number };
}

interface Month {
  readonly bundle: string;
  readonly wholeBytes: number;
  /** Processor seconds. */
  readonly build: number;
  readonly parts: Parts;
}

interface Bench {
  readonly place: string;
  readonly builder: Builder;
  readonly key: Key;
}

/** @returns undefined if the packages are unavailable */
export async function measureMonths(bench: Bench, isQuick: boolean): Promise<MonthsFigures | undefined> {
  const byMonth = await packagesByMonth(isQuick);
  if (byMonth === undefined) return undefined;
  const months: Month[] = [];
  for (const [month, packages] of byMonth.entries()) months.push(await wholeMonth(bench, month, packages));
  const last = months.length - 1;
  const wanted: [Jump['kind'], number, number][] = [];
  for (let to = 1; to <= last; to++) wanted.push(['month', to - 1, to]);
  for (let to = last; to >= 3; to -= 3) wanted.push(['quarter', to - 3, to]);
  // Of four months that is a quarter.
  if (!isQuick) wanted.push(['year', 0, last]);
  const jumps: Jump[] = [];
  for (const [kind, from, to] of wanted) jumps.push(await jump(bench, { kind, from, to, months }));
  const several = await since(
    bench,
    last,
    [last - 1, last - 2, last - 3].map((m) => months[m] as Month),
  );
  const taken: Taken[] = [];
  for (const kind of isQuick ? (['month'] as const) : (['month', 'quarter', 'year'] as const))
    taken.push(await takeLast(bench, { kind, jumps, months }));
  if (!isQuick) await forgetPackages();
  return {
    packages: byMonth[last]?.length ?? 0,
    bytes: months[last]?.wholeBytes ?? Number.NaN,
    jumps,
    taken,
    several: { ours: several.bytes, whole: months[last]?.wholeBytes ?? Number.NaN },
  };
}

const flakeOf = ({ place }: Bench, month: number) => join(place, `months-${month}`);

async function build({ place, builder, key }: Bench, month: number, out: string, ...args: readonly string[]) {
  const flags = ['-f', `path:${join(place, `months-${month}`)}`, '-d', join(place, out), '--key', key.file];
  const time = await processorSeconds(async () =>
    must(await builder.nixmaker(['build', ...flags, '--sequence', String(month), ...args])),
  );
  const bundle = join(place, out, 'host/host.tar');
  return { time, bundle, bytes: (await stat(bundle)).size };
}

const since = (bench: Bench, month: number, bases: readonly Month[]) =>
  build(
    bench,
    month,
    `months-since-${month}-${bases.map(({ bundle }) => basename(join(bundle, '../..'))).join('-')}`,
    ...bases.flatMap(({ bundle }) => ['--since', bundle]),
  );

async function wholeMonth(bench: Bench, month: number, packages: readonly PackageAtPoint[]): Promise<Month> {
  const flake = flakeOf(bench, month);
  await writeMonth(flake, month, packages);
  const { builder } = bench;
  const built = ['nix', 'build', '--no-link', '--print-out-paths', toplevelOf(flake)];
  const toplevel = must(await builder.run(built)).stdout.trim();
  const listed = must(await builder.run(['nix-store', '-qR', toplevel]));
  const paths = listed.stdout.trim().split('\n');
  const store = join(bench.place, 'builder');
  const { time, bundle, bytes } = await build(bench, month, `months-whole-${month}`);
  const folders = paths.map((path) => join(store, path));
  const parts = await partsOf(folders, join(bench.place, 'months-parts'));
  return { bundle, wholeBytes: bytes, build: time, parts };
}

/** Everything is rebuilt each month: every path has a new hash, and the hashes it refers to are in its bytes. */
async function writeMonth(folder: string, month: number, packages: readonly PackageAtPoint[]): Promise<void> {
  await copySample(folder);
  const list = packages.map(
    ({ name, version, folder: from }) => `{ name = "${name}-${version}"; folder = "${from}"; }`,
  );
  const text = `{ outputs = { self }: let
    mkSystem = import ./system.nix;
    packages = [ ${list.join(' ')} ];
    count = builtins.length packages;
    made = builtins.genList (i: let p = builtins.elemAt packages i; in derivation {
      inherit (p) name;
      month = "${month}";
      system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin:/run/current-system/sw/bin";
      references = builtins.genList (n: builtins.elemAt made (i - 1 - n)) (if i < 3 then i else 3);
      args = [ "-euc" "cp -r \${p.folder}/. $out; chmod -R u+w $out; ${process.execPath} ${checkout}bench/stamp.ts $out $references" ];
    }) count;
  in { nixosConfigurations.host = mkSystem { hostName = "host"; motd = "month ${month} " + toString made; }; }; }`;
  await writeFile(join(folder, 'flake.nix'), text);
}

async function jump(
  bench: Bench,
  { kind, from, to, months }: Pick<Jump, 'kind' | 'from' | 'to'> & { readonly months: readonly Month[] },
): Promise<Jump> {
  const [before, now] = [months[from] as Month, months[to] as Month];
  const { time, bytes } = await since(bench, to, [before]);
  return {
    kind,
    from,
    to,
    whole: now.wholeBytes,
    ours: bytes,
    files: newIn(before.parts.files, now.parts.files),
    chunks: newChunks(before.parts, now.parts),
    build: time,
    buildWhole: now.build,
  };
}

const newChunks = (before: Parts, now: Parts): number =>
  before.chunks === undefined || now.chunks === undefined ? Number.NaN : newIn(before.chunks, now.chunks);

/** The last of its kind: taken by a machine that has the previous one. */
async function takeLast(
  { place, key }: Bench,
  {
    kind,
    jumps,
    months,
  }: { readonly kind: Jump['kind']; readonly jumps: readonly Jump[]; readonly months: readonly Month[] },
): Promise<Taken> {
  const last = months.length - 1;
  const { from } = jumps.find((j) => j.kind === kind && j.to === last) as Jump;
  const { target, remove } = await freshTarget(join(place, `months-target-${kind}`), { key });
  const agent = await startInstalled(target);
  const take = async (path: string, sequence: number) => {
    await copyFile(path, join(target.inbox, '.web.tar'));
    return seconds(async () => {
      must(await run('mv', [join(target.inbox, '.web.tar'), join(target.inbox, `${sequence}.tar`)]));
      await agent.waitFor((l) => l.event === 'committed' && l.sequence === sequence, 600_000);
    });
  };
  const takeWhole = await take((months[from] as Month).bundle, from + 1);
  const name = `months-since-${last}-months-whole-${from}`;
  const time = await take(join(place, name, 'host/host.tar'), last + 1);
  const memory = await peakMemory(agent.child.pid as number);
  await agent.stop();
  await remove();
  return { kind, take: time, takeWhole, memory };
}

export const shareOf = (jumps: readonly Jump[], kind: Jump['kind'], of: 'ours' | 'files' | 'chunks') => {
  const shares = jumps.filter((j) => j.kind === kind).map((j) => j[of] / j.whole);
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
};
