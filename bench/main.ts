/**
 * npm run bench [-- --quick]: memory of the agent as bundles grow, and time against the classic way, side by side
 * in one run. Prints a table and writes bench/out/results.json. Nothing here is a test: no figure fails anything.
 */
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import prettyBytes from 'pretty-bytes';
import {
  type Builder,
  checkout,
  copySample,
  makeBuilder,
  makeTarget,
  nixSystem,
  type Ran,
  run,
} from '../scripts/sandboxed-target.ts';

import { type DeltaFigures, measureDeltas } from './delta.ts';
import { measureNotice, type NoticeFigures } from './notice.ts';
import { measurePool, type PoolFigures } from './pool.ts';

const quick = process.argv.includes('--quick');
const mebi = 1024 * 1024;
/** Systems whose packing and importing is timed, half of them incompressible. MiB. */
const sizes = quick ? [50, 300] : [50, 1024];
/** Systems that are all incompressible, so that the bundle is as large: for the agent's memory. MiB. */
const memorySizes = quick ? [50, 300] : [50, 2048];
const repeats = quick ? 1 : 3;
const pathsOf = (megabytes: number) => Math.max(10, Math.round(megabytes / 8));

function must(ran: Ran): Ran {
  if (ran.code !== 0) throw new Error(`it ended with ${ran.code ?? ran.signal}\n${ran.stdout}${ran.stderr}`);
  return ran;
}

/** A system whose closure holds that many megabytes, that share of them random, in paths of some 8 MiB. */
function system(host: string, megabytes: number, random: number): string {
  const share = Math.floor((megabytes * mebi) / pathsOf(megabytes));
  const bytes = Math.floor(share * random);
  const script = `mkdir $out; head -c ${bytes} /dev/urandom >$out/random; yes text-\${toString n} | head -c ${share - bytes} >$out/text`;
  const part = `n: derivation { name = "${host}-\${toString n}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin:/run/current-system/sw/bin"; args = [ "-c" "${script}" ]; }`;
  return `${host} = mkSystem { hostName = "${host}"; motd = toString (builtins.genList (${part}) ${pathsOf(megabytes)}); };`;
}

async function writeBenchFlake(folder: string): Promise<void> {
  await copySample(folder);
  const hosts = [
    ...sizes.map((mb) => system(`s${mb}`, mb, 0.5)),
    ...memorySizes.map((mb) => system(`m${mb}`, mb, 1)),
  ];
  await writeFile(
    join(folder, 'flake.nix'),
    `{ outputs = { self }: let mkSystem = import ./system.nix; in { nixosConfigurations = { ${hosts.join('\n')} }; }; }`,
  );
}

/** Peak resident memory of an agent that takes one bundle of that size. */
async function measureMemory(place: string, builder: Builder, megabytes: number) {
  const host = `m${megabytes}`;
  const out = join(place, 'memory');
  const args = [
    'build',
    '-f',
    `path:${join(place, 'flake')}`,
    '-d',
    out,
    '--host',
    host,
    '--key',
    join(place, 'bench-1.secret'),
  ];
  must(await builder.nixmaker(args));
  const bundle = join(out, host, `${host}.tar`);
  const publicKey = (await readFile(join(place, 'bench-1.public'), 'utf8')).trim();
  const target = await makeTarget(join(place, `target-${host}`), { host, trustedKeys: [publicKey] });
  const agent = await target.startAgent();
  const bundleBytes = (await stat(bundle)).size;
  must(await run('mv', [bundle, join(target.inbox, 'web.tar')]));
  await agent.waitFor((l) => l.event === 'committed', 600_000);
  const peak = await peakMemory(agent.child.pid as number);
  await agent.stop();
  await target.close();
  await remove(target.root);
  return { megabytes, bundleBytes, peak };
}

const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;

async function time(work: (round: number) => Promise<unknown>): Promise<number> {
  const seconds: number[] = [];
  for (let round = 0; round < repeats; round++) {
    const started = performance.now();
    await work(round);
    seconds.push((performance.now() - started) / 1000);
  }
  return median(seconds);
}

const shell = (builder: Builder, script: string, ...args: string[]) =>
  builder.run(['sh', '-euc', script, 'sh', ...args]).then(must);

/** Peak resident memory of a process, in bytes (proc(5), VmHWM). */
async function peakMemory(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1]) * 1024;
}

interface Row {
  readonly megabytes: number;
  readonly bundleBytes: number;
  readonly classicBytes: number;
  readonly pack: number;
  readonly packClassic: number;
  readonly take: number;
  readonly importOnly: number;
  readonly importClassic: number;
  readonly agentMemory: number;
}

async function measure(place: string, builder: Builder, megabytes: number): Promise<Row> {
  const host = `s${megabytes}`;
  const flake = join(place, 'flake');
  const key = join(place, 'bench-1.secret');
  const publicKey = (await readFile(join(place, 'bench-1.public'), 'utf8')).trim();
  const build = (round: number) =>
    builder
      .nixmaker([
        'build',
        '-f',
        `path:${flake}`,
        '-d',
        join(place, `out-${round}`),
        '--host',
        host,
        '--key',
        key,
      ])
      .then(must);
  const built = await shell(
    builder,
    'nix build --no-link --print-out-paths "$1"',
    `path:${flake}#nixosConfigurations.${host}.config.system.build.toplevel`,
  );
  const toplevel = built.stdout.trim();

  const pack = await time(build);
  const bundle = join(place, 'out-0', host, `${host}.tar`);
  const classic = join(place, `${host}.tar.gz`);
  const packClassic = await time(() =>
    shell(
      builder,
      'rm -rf "$2"; nix copy --no-check-sigs --to "$2" "$1"; tar -czf "$3" -C "$2" nix; chmod -R u+w "$2"; rm -rf "$2"',
      toplevel,
      join(place, 'classic'),
      classic,
    ),
  );

  let importOnly = 0;
  let agentMemory = 0;
  const fresh = async (round: number) => {
    const target = await makeTarget(join(place, `target-${host}-${round}`), {
      host,
      trustedKeys: [publicKey],
    });
    const agent = await target.startAgent();
    await copyFile(bundle, join(target.inbox, '.web.tar'));
    return { target, agent };
  };
  const takes: number[] = [];
  for (let round = 0; round < repeats; round++) {
    const { target, agent } = await fresh(round);
    const started = performance.now();
    must(await run('mv', [join(target.inbox, '.web.tar'), join(target.inbox, 'web.tar')]));
    const line = await agent.waitFor((l) => l.event === 'committed', 600_000);
    takes.push((performance.now() - started) / 1000);
    importOnly = (line.imported as { milliseconds: number }).milliseconds / 1000;
    agentMemory = Math.max(agentMemory, await peakMemory(agent.child.pid as number));
    await agent.stop();
    await target.close();
    await remove(target.root);
  }

  const importClassic = await time(async (round) => {
    const target = await makeTarget(join(place, `classic-${host}-${round}`), {
      host,
      trustedKeys: [publicKey],
      nixConf: 'require-sigs = false',
    });
    const script =
      'mkdir "$3"; tar -xzf "$1" -C "$3"; nix copy --no-check-sigs --from "$3" --to daemon "$2"; chmod -R u+w "$3"; rm -rf "$3"';
    must(await target.run(['sh', '-euc', script, 'sh', classic, toplevel, join(target.root, 'tmp', 'x')]));
    await target.close();
    await remove(target.root);
  });
  const bytesOf = async (path: string) => (await stat(path)).size;
  return {
    megabytes,
    bundleBytes: await bytesOf(bundle),
    classicBytes: await bytesOf(classic),
    pack,
    packClassic,
    take: median(takes),
    importOnly,
    importClassic,
    agentMemory,
  };
}

async function remove(folder: string): Promise<void> {
  await run('chmod', ['--recursive', 'u+w', folder]);
  await rm(folder, { recursive: true, force: true });
}

type Memory = Awaited<ReturnType<typeof measureMemory>>;

interface Figures {
  readonly rows: readonly Row[];
  readonly memory: readonly Memory[];
  readonly pool: PoolFigures;
  readonly delta: DeltaFigures;
  readonly notice: NoticeFigures;
}

function report({ rows, memory, pool, notice, delta }: Figures): void {
  const say = (text: string) => process.stdout.write(`${text}\n`);
  for (const row of rows) {
    say(`\nA system of ${row.megabytes} MiB in ${pathsOf(row.megabytes)} paths (medians of ${repeats})`);
    say(`  size      bundle ${prettyBytes(row.bundleBytes)}, classic ${prettyBytes(row.classicBytes)}`);
    say(
      `  pack      bundle ${row.pack.toFixed(2)} s, classic ${row.packClassic.toFixed(2)} s: ${(row.packClassic / row.pack).toFixed(1)} times faster`,
    );
    say(`  inbox to committed ${row.take.toFixed(2)} s; of that the import ${row.importOnly.toFixed(2)} s`);
    say(
      `  unpack and import, classic ${row.importClassic.toFixed(2)} s: ${(row.importClassic / row.take).toFixed(1)} times faster`,
    );
    say(`  agent’s peak memory ${prettyBytes(row.agentMemory, { binary: true })}`);
  }
  say('\nMemory of the agent, bundles that do not compress');
  for (const { bundleBytes, peak } of memory) {
    say(`  bundle of ${prettyBytes(bundleBytes)}: peak ${prettyBytes(peak, { binary: true })}`);
  }
  const growth = ((memory.at(-1)?.peak ?? 0) - (memory[0]?.peak ?? 0)) / mebi;
  say(`  ${growth.toFixed(1)} MiB more for the larger (goal: less than 64)`);
  const share = pool.tenHostsBytes / pool.oneHostBytes;
  say('\nTen hosts that share 97 of 100 paths, on one medium');
  say(
    `  pool of one ${prettyBytes(pool.oneHostBytes)}, of ten ${prettyBytes(pool.tenHostsBytes)}: ${share.toFixed(2)} times (goal: at most 1.3)`,
  );
  say(
    `  put, flushed and read back ${pool.put.toFixed(2)} s; ten bundles (${prettyBytes(pool.bundlesBytes)}) copied and flushed ${pool.copy.toFixed(2)} s`,
  );
  say(`\nReleases of a system of ${delta.paths} paths, since the one before`);
  say(`  whole: built in ${delta.wholeBuild.toFixed(1)} s, taken in ${delta.wholeTake.toFixed(1)} s`);
  for (const { shape, wholeBytes, bytes, deltas, build, take, memory } of delta.releases)
    say(
      `  ${shape}: ${prettyBytes(bytes)} of ${prettyBytes(wholeBytes)}, ${((100 * bytes) / wholeBytes).toFixed(2)} %, ${deltas} deltas; built in ${build.toFixed(1)} s, taken in ${take.toFixed(1)} s, peak ${prettyBytes(memory, { binary: true })}`,
    );
  say('\nFrom mount(8) until the agent knows of the medium');
  say(
    `  median ${notice.median.toFixed(0)} ms, worst of 20 ${notice.worst.toFixed(0)} ms (goal: less than 300)`,
  );
}

const place = await mkdtemp(join(tmpdir(), 'nixmaker-bench-'));
try {
  const builder = await makeBuilder(join(place, 'builder'));
  await writeBenchFlake(join(place, 'flake'));
  must(await builder.nixmaker(['keygen', 'bench-1', '--out', place]));
  const rows: Row[] = [];
  for (const megabytes of sizes) rows.push(await measure(place, builder, megabytes));
  const memory: Memory[] = [];
  for (const megabytes of memorySizes) memory.push(await measureMemory(place, builder, megabytes));
  const pool = await measurePool(place, builder);
  const delta = await measureDeltas(place, builder, quick ? 100 : 500);
  const figures = { rows, memory, pool, delta, notice: await measureNotice(place) };
  report(figures);
  const out = join(checkout, 'bench', 'out');
  await mkdir(out, { recursive: true });
  await writeFile(
    join(out, 'results.json'),
    `${JSON.stringify({ schema: 1, quick, ...figures }, null, 2)}\n`,
  );
} finally {
  await remove(place);
}
