/** A machine in user-mode Linux, with a disk of its own, that can be restarted and have its power cut (scripts/vm). */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkout, run } from '../../scripts/sandboxed-target.ts';

const bootPatience = 60_000;

export class Vm {
  static readonly #running = new Set<Vm>();
  /** Shown to the machine as /host. */
  readonly folder: string;
  readonly #child: ChildProcess;
  readonly #line: Duplex;
  #received = '';
  #commands = 0;

  private constructor(folder: string, child: ChildProcess) {
    this.folder = folder;
    this.#child = child;
    this.#line = child.stdio[3] as Duplex;
    // A machine whose power is cut does not hang up first.
    this.#line.on('error', () => undefined);
    this.#line.on('data', (data: Buffer) => {
      this.#received += data.toString('latin1');
    });
  }

  /** Boots what is on the disk of the folder. */
  static async boot(folder: string, args: readonly string[] = []): Promise<Vm> {
    if (process.env.NIXMAKER_VM === undefined)
      throw new Error('NIXMAKER_VM is not set: run this test with scripts/test-vm');
    const log = openSync(join(folder, 'console'), 'a');
    const child = spawn(join(checkout, 'scripts/vm'), [folder, ...args], {
      stdio: ['ignore', log, log, 'pipe'],
    });
    const vm = new Vm(folder, child);
    Vm.#running.add(vm);
    child.once('exit', () => Vm.#running.delete(vm));
    await vm.#receive(/ready\r?\n/, bootPatience);
    return vm;
  }

  /** Whatever a test that failed has left running. */
  static async cutAll(): Promise<void> {
    await Promise.all([...Vm.#running].map((vm) => vm.cutPower()));
  }

  /** A shell script that must succeed; what it says. */
  async sh(script: string, patience = 60_000): Promise<string> {
    const { code, output } = await this.try(script, patience);
    if (code !== 0) throw new Error(`${script}: ended with ${code}\n${output}`);
    return output;
  }

  async try(script: string, patience = 60_000): Promise<{ readonly code: number; readonly output: string }> {
    this.#commands += 1;
    const id = this.#commands;
    this.#line.write(`${id} ${Buffer.from(script).toString('base64')}\n`);
    const [, code, output = ''] = await this.#receive(
      new RegExp(`(?:^|\\n)${id} (\\d+) ?(\\S*)\\r?\\n`),
      patience,
    );
    return { code: Number(code), output: Buffer.from(output, 'base64').toString() };
  }

  /** Waits until the script succeeds. */
  async until(script: string, patience = 60_000): Promise<void> {
    const end = performance.now() + patience;
    while ((await this.try(script)).code !== 0) {
      if (performance.now() > end) {
        const log = await this.try('journalctl --no-pager --lines 60 --output cat');
        throw new Error(`never: ${script}\n${log.output}`);
      }
      await sleep(30);
    }
  }

  async write(path: string, contents: Buffer | string, mode = '0644'): Promise<void> {
    await writeFile(join(this.folder, 'file'), contents);
    await this.sh(
      `mkdir -p "$(dirname ${path})"; cp /host/file ${path}.new; chmod ${mode} ${path}.new; mv ${path}.new ${path}`,
    );
  }

  /** The power is gone: nothing that was in memory only is ever written. */
  async cutPower(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  /** Waits until the machine has restarted by itself: user-mode Linux then starts over in the same process. */
  async restarted(patience = 60_000): Promise<void> {
    await this.#receive(/ready\r?\n/, patience);
  }

  /** Shuts down in order. */
  async powerOff(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#line.write(`0 ${Buffer.from('systemctl poweroff').toString('base64')}\n`);
    await Promise.race([ended, sleep(30_000, undefined, { ref: false })]);
    await this.cutPower();
  }

  async #receive(pattern: RegExp, patience: number): Promise<RegExpExecArray> {
    const end = performance.now() + patience;
    for (;;) {
      const found = pattern.exec(this.#received);
      if (found !== null) {
        this.#received = this.#received.slice(found.index + found[0].length);
        return found;
      }
      const ended = this.#child.exitCode !== null || this.#child.signalCode !== null;
      if (ended || performance.now() > end) {
        const text = await readFile(join(this.folder, 'console'), 'latin1');
        throw new Error(`the machine ${ended ? 'ended' : 'does not answer'}:\n${text.slice(-3000)}`);
      }
      await sleep(5);
    }
  }
}

/** A folder with a copy of a disk, holes kept. */
export async function copyDisk(from: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const copied = await run('cp', ['--sparse=always', from, join(folder, 'disk')]);
  if (copied.code !== 0) throw new Error(copied.stderr);
}

/** A disk with nothing of nixmaker on it. `media`: with udev, and disks that can be plugged and pulled. */
export const emptyDisk = (kind: 'plain' | 'media' = 'plain') =>
  join(process.env.NIXMAKER_VM ?? '', kind === 'media' ? 'disk-media' : 'disk');
