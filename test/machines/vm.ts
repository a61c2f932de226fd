/** A machine in user-mode Linux, with a disk of its own, that can be restarted and have its power cut (test/machines/vm). */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlLine } from './control-line.ts';
import { checkout, run } from './program.ts';

const bootPatience = 300_000;

/** Those this process may use (proc_pid_status(5)): 0-1,4. */
const processors = (
  readFileSync('/proc/self/status', 'latin1').match(/^Cpus_allowed_list:\s*(.*)$/m)?.[1] ?? '0'
)
  .split(',')
  .flatMap((range) => {
    const [from = 0, to = from] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });

export class Vm extends ControlLine {
  static #booted = 0;
  static readonly #running = new Set<Vm>();
  /** Shown to the machine as /host. */
  readonly folder: string;
  readonly #child: ChildProcess;

  private constructor(folder: string, child: ChildProcess) {
    const line = child.stdio[3] as Duplex;
    super({ child, reading: line, writing: line, folder });
    this.folder = folder;
    this.#child = child;
  }

  /** Boots what is on the disk of the folder. */
  static async boot(folder: string, args: readonly string[] = []): Promise<Vm> {
    if (process.env.NIXMAKER_VM === undefined)
      throw new Error('NIXMAKER_VM is not set: run this test with scripts/test-vm');
    const log = openSync(join(folder, 'console'), 'a');
    // Its kernel and its processes wait for each other at each system call: on one processor a fifth quicker than on two.
    Vm.#booted += 1;
    const processor = processors[(process.pid + Vm.#booted) % processors.length] as number;
    const pinned = ['--cpu-list', String(processor), join(checkout, 'test/machines/vm')];
    const child = spawn('taskset', [...pinned, folder, ...args], {
      stdio: ['ignore', log, log, 'pipe'],
    });
    const vm = new Vm(folder, child);
    Vm.#running.add(vm);
    child.once('exit', () => Vm.#running.delete(vm));
    await vm.ready(bootPatience);
    return vm;
  }

  /** Whatever a test that failed has left running. */
  static async cutAll(): Promise<void> {
    await Promise.all([...Vm.#running].map((vm) => vm.cutPower()));
  }

  async write(path: string, contents: Buffer | string, mode = '0644'): Promise<void> {
    await writeFile(join(this.folder, 'file'), contents);
    await this.sh(
      `mkdir -p "$(dirname ${path})"; cp /host/file ${path}.new; chmod ${mode} ${path}.new; mv ${path}.new ${path}`,
    );
  }

  /**
   * What the disk would hold if the power were cut now; the machine goes on. It stands still for that moment, so that
   * nothing is written while the copy is made.
   */
  async copyAsIfCut(folder: string): Promise<void> {
    const stopped = new Set<number>();
    try {
      // Until a look finds nobody new: while some still run, others come and go.
      for (let before = -1; stopped.size !== before; ) {
        before = stopped.size;
        for (const pid of await withDescendants(this.#child.pid as number))
          if (!stopped.has(pid) && signal(pid, 'SIGSTOP')) stopped.add(pid);
      }
      await copyDisk(join(this.folder, 'disk'), folder);
    } finally {
      for (const pid of stopped) signal(pid, 'SIGCONT');
    }
  }

  /** Suspends the machine to idle once the script has ended, for so many milliseconds. Its clocks go on meanwhile, all of them. @param then what is run first when it wakes up */
  async suspend(script: string, milliseconds: number, then: string): Promise<void> {
    const asked = join(this.folder, 'suspending');
    this.post(
      `${script}; touch /host/suspending; echo freeze >/sys/power/state; ${then}; rm /host/suspending`,
    );
    while (!existsSync(asked)) await sleep(20);
    await sleep(milliseconds);
    // The child of the one that keeps it in its namespaces is its kernel, which wakes up at this signal.
    const [, kernel] = await withDescendants(this.#child.pid as number);
    for (const until = performance.now() + bootPatience; existsSync(asked); await sleep(500)) {
      if (performance.now() > until) throw new Error('the machine does not wake up');
      signal(kernel as number, 'SIGUSR1');
    }
  }

  /** The power is gone: nothing that was in memory only is ever written. */
  async cutPower(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  /** Waits until the machine has restarted by itself: user-mode Linux then starts over in the same process. */
  async restarted(patience = bootPatience): Promise<void> {
    await this.ready(patience);
  }

  /** Shuts down in order. */
  async powerOff(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.post('systemctl poweroff');
    await Promise.race([ended, sleep(30_000, undefined, { ref: false })]);
    await this.cutPower();
  }
}

/** @returns whether it was still there */
function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** The process and all below it: user-mode Linux keeps one for its disk, and one for each of its processes. */
async function withDescendants(pid: number): Promise<number[]> {
  const children = new Map<number, number[]>();
  for (const name of await readdir('/proc')) {
    const stat = /^\d+$/.test(name) ? await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '') : '';
    // proc(5): the name in parentheses may contain any character; behind it state and parent.
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const withBelow = (top: number): number[] => [top, ...(children.get(top) ?? []).flatMap(withBelow)];
  return withBelow(pid);
}

/** A folder with a copy of a disk, and of the second that lies beside it, holes kept. */
export async function copyDisk(from: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const second = join(dirname(from), 'second');
  const copies = [[from, 'disk'] as const, ...(existsSync(second) ? [[second, 'second'] as const] : [])];
  for (const [disk, name] of copies) {
    const copied = await run('cp', ['--sparse=always', disk, join(folder, name)]);
    if (copied.code !== 0) throw new Error(copied.stderr);
  }
}

/** A disk with nothing of nixmaker on it. `media`: with udev, and disks that can be plugged and pulled. */
export const emptyDisk = (kind: 'plain' | 'media' = 'plain') =>
  join(process.env.NIXMAKER_VM ?? '', kind === 'media' ? 'disk-media' : 'disk');
