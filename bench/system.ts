/**
 * A synthetic system of many paths, with bytes like a real one’s: slices of the programs at hand (Node.js, Nix), sizes as
 * in a NixOS closure (most small, few large), references among them. And its next releases, in three shapes.
 */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { copySample } from '../test/machines/builder.ts';
import { nixSystem, type Ran } from '../test/machines/program.ts';

export interface Key {
  /** The secret half's file. */
  readonly file: string;
  readonly publicKey: string;
}

export function must(ran: Ran): Ran {
  if (ran.code !== 0) throw new Error(`it exited with ${ran.code ?? ran.signal}\n${ran.stdout}${ran.stderr}`);
  return ran;
}

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/**
 * Processor time of programs that were started and have ended meanwhile (proc_pid_stat(5), cutime and cstime): on a busy machine
 * it says more than the clock. Seconds.
 */
export async function processorSeconds(work: () => Promise<unknown>): Promise<number> {
  const before = endedTicks();
  await work();
  return (endedTicks() - before) / 100;
}

function endedTicks(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[13]) + Number(fields[14]);
}

export const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;

/**
 * What is new in a release in group g of a few paths; the rest of its bytes stays. `library`: three groups in ten have
 * different hashes and few other changed bytes. `week`: one group; if there are fifty of them, two paths in a hundred and
 * two or three bytes.
 */
const stamps = {
  first: '_: "first"',
  config: '_: "first"',
  week: 'g: if g == 5 then "week" else "first"',
  library: 'g: if g - 10 * (g / 10) < 3 then "library" else "first"',
  rebuild: '_: "rebuild"',
} as const;
export type Shape = keyof typeof stamps;

/** Kilobytes of path n: 400 on average, 8,000 for one in fifty; the sizes are spread over the paths. */
const kilobytesOf =
  'n: let m = 7 * n; r = m - 50 * (m / 50); in if r == 0 then 8000 else if r < 5 then 1200 else if r < 20 then 300 else 80';

/**
 * @param count paths; a multiple of `groupSize`
 * @param groupSize paths that are outputs of one derivation: a build per path would take minutes
 * @param own paths of each host that no other host has, of the first kind of path
 */
export async function writeSystem(
  folder: string,
  {
    shape = 'first',
    count,
    hosts = ['host'],
    own = 0,
    groupSize = 50,
  }: {
    shape?: Shape;
    count: number;
    hosts?: readonly string[];
    own?: number;
    groupSize?: number;
  },
): Promise<void> {
  await copySample(folder);
  const groups = Math.ceil(count / groupSize);
  const text = `{ outputs = { self }: let
    mkSystem = import ./system.nix;
    kilobytesOf = ${kilobytesOf};
    stamp = ${stamps[shape]};
    numbers = builtins.genList (n: n) ${groupSize};
    # Somewhere in the programs, elsewhere for each path.
    offsetOf = n: n * 7919 * 4096 - 100000000 * (n * 7919 * 4096 / 100000000);
    group = name: g: outputs: let
      fill = i: let n = g * ${groupSize} + i; half = toString (kilobytesOf n * 512); in
        "mkdir -p $p\${toString i}/lib; { echo \${stamp g}; cut \${toString (offsetOf n)} \${half}; echo \${stamp g} $p0; cut \${toString (offsetOf n + 40000000)} \${half}; echo \${stamp g}; } >$p\${toString i}/lib/body\\n";
    in derivation {
      inherit name outputs;
      system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin:/run/current-system/sw/bin";
      script = "cut() { dd if=${process.execPath} iflag=skip_bytes,count_bytes bs=64K skip=$1 count=$2 status=none; }\\n" + builtins.concatStringsSep "" (map fill (builtins.genList (n: n) (builtins.length outputs)));
      passAsFile = [ "script" ];
      args = [ "-euc" ". $scriptPath" ];
    };
    outputs = map (n: "p\${toString n}") numbers;
    pathsOf = drv: map (o: drv.\${o}) drv.outputs;
    common = builtins.concatMap (g: pathsOf (group "group-\${toString g}-1.0" g outputs)) (builtins.genList (g: g) ${groups});
    ownOf = host: ${own === 0 ? '[ ]' : `pathsOf (group "own-\${host}-1.0" 1 (map (n: "p\${toString n}") (builtins.genList (n: n) ${own})))`};
    make = host: mkSystem { hostName = host; motd = "${shape} " + toString (common ++ ownOf host); };
  in { nixosConfigurations = builtins.listToAttrs (map (name: { inherit name; value = make name; }) [ ${hosts.map((host) => `"${host}"`).join(' ')} ]); }; }`;
  await writeFile(join(folder, 'flake.nix'), text);
}

/** For a shell on the builder: the bench’s flake, already built, so that Nix’s build time is not what is measured. */
export const toplevelOf = (flake: string, host = 'host') =>
  `path:${flake}#nixosConfigurations.${host}.config.system.build.toplevel`;
