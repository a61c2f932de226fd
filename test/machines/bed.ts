/** A machine with a real systemd 262 as PID 1, a real nix-daemon, and nixmaker, in namespaces (test/machines/bed). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { compiled, compiledAt, compiledMain } from './compiled.ts';
import { checkout, type Ran, type RunOptions, run } from './program.ts';

export const bedNode = '/opt/node/bin/node';

export interface Bed {
  run(command: readonly string[], options?: RunOptions): Promise<Ran>;
  /** How another program starts one in there. */
  command(command: readonly string[]): readonly string[];
  /** A shell script that must succeed; its standard output. */
  sh(script: string, ...args: string[]): Promise<string>;
  write(path: string, contents: Buffer | string, mode?: string): Promise<void>;
  /** Waits until the script succeeds; says what the machine says when it never does. */
  until(script: string, ...args: string[]): Promise<void>;
  stop(): Promise<void>;
  /** Its PID 1, as this machine has it. */
  readonly init: number;
}

function controlGroups(): string {
  return existsSync('/sys/fs/cgroup/cgroup.controllers') ? '/sys/fs/cgroup' : '/sys/fs/cgroup/unified';
}

/** Boots a machine; `folder` is for its disk, which lies in memory. @param shown more of this machine, read-only: FILE:PLACE */
export async function startBed(
  folder: string,
  shown: readonly string[] = [],
  kind: 'NIXMAKER_BED' | 'NIXMAKER_DESKTOP' = 'NIXMAKER_BED',
): Promise<Bed> {
  const tree = process.env[kind];
  if (tree === undefined) throw new Error(`${kind} is not set: run this test with scripts/test, on Debian`);
  const node = dirname(dirname(realpathSync(process.execPath)));
  // Not at their own places, which a service with ProtectHome= may not see.
  // As it is installed: its unit forbids the compilers that sources would need.
  const binds = [`${compiled}:${compiledAt}`, `${node}:/opt/node`, ...shown];
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'TERM', join(checkout, 'test/machines/bed'), folder, ...binds],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, NIXMAKER_BED: tree },
    },
  );
  const procs = join(controlGroups(), `nixmaker-bed-${child.pid}`, 'init.scope/cgroup.procs');
  const pid = await firstPid(procs, () => child.exitCode !== null);
  const enter = [
    '-t',
    pid,
    '-m',
    '-u',
    '-i',
    '-p',
    '-n',
    '-C',
    '--',
    'env',
    '-i',
    'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
    'HOME=/root',
    'LC_ALL=C.UTF-8',
  ];
  const inside = (command: readonly string[], options: RunOptions = {}) =>
    run('nsenter', [...enter, ...command], options);
  const bed: Bed = {
    init: Number(pid),
    run: inside,
    command: (command) => ['nsenter', ...enter, ...command],
    sh: async (script, ...args) => {
      const ran = await inside(['sh', '-euc', script, 'sh', ...args]);
      if (ran.code !== 0) throw new Error(`${script}: ended with ${ran.code}\n${ran.stdout}${ran.stderr}`);
      return ran.stdout;
    },
    write: async (path, contents, mode = '0644') => {
      const ran = await inside(
        [
          'sh',
          '-euc',
          'mkdir -p "${1%/*}"; cat >"$1.new"; chmod "$2" "$1.new"; mv "$1.new" "$1"',
          'sh',
          path,
          mode,
        ],
        { input: contents },
      );
      if (ran.code !== 0) throw new Error(ran.stderr);
    },
    until: async (script, ...args) => {
      // Looked at from inside, for each way into the machine is a few processes. Long, for a machine with much else to do:
      // what is waited for is a condition, not a time.
      // A pipe that nobody writes to is bash's way to wait without a program: dozens a second are felt on two cores.
      // Nor does a look at a file take one.
      const look = /^(! )?test (?:[^;&|$`<>()\n]|"?\$\d)*$/.test(script)
        ? script
        : 'sh -euc "$script" sh "$@"';
      const wait = `script=$1; shift; exec 9<> <(:); until ${look}; do read -rt 0.1 -u 9 || true; done`;
      const waited = await inside(['timeout', '60', 'bash', '-uc', wait, 'bash', script, ...args]);
      if (waited.code === 0) return;
      const said = await inside(['journalctl', '--no-pager', '--lines', '60', '--output', 'cat']);
      throw new Error(`never: ${script}\n${said.stdout}`);
    },
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;

      const ended = once(child, 'exit');
      await inside(['kill', '-KILL', '-1']);
      process.kill(Number(pid), 'SIGKILL');
      await ended;
    },
  };
  await bed.until('systemctl is-system-running --wait');
  await bed.write('/usr/bin/nixmaker', `#!/bin/sh\nexec ${bedNode} ${compiledMain} "$@"\n`, '0755');
  return bed;
}

async function firstPid(procs: string, ended: () => boolean): Promise<string> {
  for (;;) {
    const text = await readFile(procs, 'utf8').catch(() => '');
    const [first] = text.split('\n');
    if (first !== undefined && first !== '') return first;
    if (ended()) throw new Error('the machine did not start');
    await sleep(20);
  }
}

/** The unit files of systemd/, as an administrator of any distribution would install them. */
export function unitText(name: string): string {
  return readFileSync(join(checkout, 'systemd', name), 'utf8');
}
