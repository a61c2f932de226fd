/**
 * Releases of one system of many paths, each in three shapes: only configuration changed; a library in the middle (30 % of
 * the paths have other hashes and few other bytes); everything rebuilt.
 */
import { copyFile, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import {
  type Builder,
  copySample,
  makeTarget,
  nixSystem,
  type Ran,
  run,
} from '../scripts/sandboxed-target.ts';

export interface ReleaseFigures {
  readonly shape: string;
  readonly wholeBytes: number;
  readonly bytes: number;
  readonly deltas: number;
  /** Seconds. */
  readonly build: number;
  readonly take: number;
  /** Peak resident memory of the agent that took the release before and this one, in bytes. */
  readonly memory: number;
}

export interface DeltaFigures {
  readonly paths: number;
  /** Seconds. */
  readonly wholeBuild: number;
  readonly wholeTake: number;
  readonly releases: readonly ReleaseFigures[];
}

function must(ran: Ran): Ran {
  if (ran.code !== 0) throw new Error(`it ended with ${ran.code ?? ran.signal}\n${ran.stdout}${ran.stderr}`);
  return ran;
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/** Kilobytes of path n: most are small, few are large; about 400 in the mean. */
const sizeOf =
  'n: let r = n - 50 * (n / 50); in if r == 0 then 8000 else if r < 5 then 1200 else if r < 20 then 300 else 80';

/** What of path n is new in a release, in three places; the rest of its bytes, half of them random, stays. */
const stamps = {
  first: '_: "first"',
  config: '_: "first"',
  library: 'n: if n - 10 * (n / 10) < 3 then "library" else "first"',
  rebuild: '_: "rebuild"',
} as const;
type Shape = keyof typeof stamps;

async function writeRelease(folder: string, shape: Shape, count: number): Promise<void> {
  await copySample(folder);
  const text = `{ outputs = { self }: let
    mkSystem = import ./system.nix;
    sizeOf = ${sizeOf};
    numbers = builtins.genList (n: n) ${count};
    stamp = ${stamps[shape]};
    make = name: script: derivation { inherit name script; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin:/run/current-system/sw/bin"; passAsFile = [ "script" ]; args = [ "-euc" ". $scriptPath" ]; };
    bodies = make "bodies" ("mkdir $out\\n" + builtins.concatStringsSep "\\n" (map (n: let half = toString (sizeOf n * 512); in "{ head -c \${half} /dev/urandom; yes text-\${toString n} | head -c \${half}; } >$out/\${toString n}") numbers));
    part = n: let body = "\${bodies}/\${toString n}"; mark = "echo \${stamp n}"; in
      make "package-\${toString n}-1.0" "mkdir -p $out/lib; { \${mark}; head -c 20000 \${body}; \${mark}; tail -c +20001 \${body}; \${mark}; } >$out/lib/body";
  in { nixosConfigurations.host = mkSystem { hostName = "host"; motd = "${shape} " + toString (map part numbers); }; }; }`;
  await writeFile(join(folder, 'flake.nix'), text);
}

/** Peak resident memory of a process, in bytes (proc(5), VmHWM). */
async function peakMemory(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1]) * 1024;
}

export async function measureDeltas(place: string, builder: Builder, count: number): Promise<DeltaFigures> {
  const keyFile = join(place, 'bench-1.secret');
  const publicKey = (await readFile(join(place, 'bench-1.public'), 'utf8')).trim();

  const build = async (shape: Shape, sequence: number, ...since: readonly string[]) => {
    const flake = join(place, `release-${shape}`);
    await writeRelease(flake, shape, count);
    // What Nix takes to build it is not what is measured.
    const system = `path:${flake}#nixosConfigurations.host.config.system.build.toplevel`;
    must(await builder.run(['nix', 'build', '--no-link', system]));
    const out = join(place, `${shape}-${since.length === 0 ? 'whole' : 'delta'}`);
    const args = ['-f', `path:${flake}`, '-d', out, '--key', keyFile, '--sequence', String(sequence - 1)];
    const time = await seconds(async () => must(await builder.nixmaker(['build', ...args, ...since])));
    const path = join(out, 'host/host.tar');
    return { time, path, bytes: (await stat(path)).size };
  };

  const first = await build('first', 1);
  let wholeTake = 0;
  const releases: ReleaseFigures[] = [];
  for (const shape of ['config', 'library', 'rebuild'] as const) {
    const whole = await build(shape, 2);
    const delta = await build(shape, 2, '--since', first.path);
    const target = await makeTarget(join(place, `target-${shape}`), {
      host: 'host',
      trustedKeys: [publicKey],
    });
    const agent = await target.startAgent();
    const take = async (path: string, sequence: number) => {
      await copyFile(path, join(target.inbox, '.web.tar'));
      return seconds(async () => {
        must(await run('mv', [join(target.inbox, '.web.tar'), join(target.inbox, `${sequence}.tar`)]));
        await agent.waitFor((l) => l.event === 'committed' && l.sequence === sequence, 600_000);
      });
    };
    wholeTake = await take(first.path, 1);
    const time = await take(delta.path, 2);
    const listed = must(await builder.nixmaker(['inspect', '--json', delta.path]));
    const { manifest } = JSON.parse(listed.stdout) as { manifest: { deltas?: readonly unknown[] } };
    releases.push({
      shape,
      wholeBytes: whole.bytes,
      bytes: delta.bytes,
      deltas: manifest.deltas?.length ?? 0,
      build: delta.time,
      take: time,
      memory: await peakMemory(agent.child.pid as number),
    });
    await agent.stop();
    await target.close();
    await run('chmod', ['--recursive', 'u+w', target.root]);
    await rm(target.root, { recursive: true, force: true });
  }
  return { paths: count, wholeBuild: first.time, wholeTake, releases };
}
