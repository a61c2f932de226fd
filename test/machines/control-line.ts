/** The serial line of a machine, by which a test runs commands in it (/usr/lib/control of test/machines/prepare-vm). */
import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Wires {
  readonly child: ChildProcess;
  readonly reading: Readable;
  readonly writing: Writable;
  /** Where the machine's console is kept, as `console`. */
  readonly folder: string;
}

/** Milliseconds: so long that a slow machine with much to do is not mistaken for one that hangs. */
const enough = 300_000;

/** A pipe that nobody writes to is bash’s way to wait without a program. */
const lookUntil = 'exec 9<> <(:); until sh -euc "$1"; do read -rt 0.1 -u 9 || true; done';

export class ControlLine {
  readonly #wires: Wires;
  #received = '';
  #commands = 0;

  constructor(wires: Wires) {
    this.#wires = wires;
    // A machine whose power is cut does not hang up first.
    for (const end of [wires.reading, wires.writing]) end.on('error', () => undefined);
    wires.reading.on('data', (data: Buffer) => {
      this.#received += data.toString('latin1');
    });
  }

  /** Waits until the machine says that it listens. */
  async ready(patience: number): Promise<void> {
    await this.#receive(/ready\r?\n/, patience);
  }

  /** A shell script that must succeed; what it says. */
  async sh(script: string, patience = enough): Promise<string> {
    const { code, output } = await this.try(script, patience);
    if (code !== 0) throw new Error(`${script}: ended with ${code}\n${output}`);
    return output;
  }

  async try(script: string, patience = enough): Promise<{ readonly code: number; readonly output: string }> {
    this.#commands += 1;
    const id = this.#commands;
    this.post(script, id);
    const [, code, output = ''] = await this.#receive(
      new RegExp(`(?:^|\\n)${id} (\\d+) ?(\\S*)\\r?\\n`),
      patience,
    );
    return { code: Number(code), output: Buffer.from(output, 'base64').toString() };
  }

  /** Sends a script whose answer nobody waits for. */
  post(script: string, id = 0): void {
    this.#wires.writing.write(`${id} ${Buffer.from(script).toString('base64')}\n`);
  }

  /** Waits until the script succeeds. */
  async until(script: string, patience = enough): Promise<void> {
    // In the machine, and not often: each look is a few processes, which take from the work that is waited for.
    const seconds = Math.ceil(patience / 1000);
    const quoted = `'${script.replaceAll("'", `'\\''`)}'`;
    const wait = `timeout ${seconds} bash -uc '${lookUntil}' bash ${quoted} >/dev/null 2>&1`;
    if ((await this.try(wait, patience + 30_000)).code === 0) return;
    const log = await this.try('journalctl --no-pager --lines 60 --output cat');
    throw new Error(`never: ${script}\n${log.output}`);
  }

  async #receive(pattern: RegExp, patience: number): Promise<RegExpExecArray> {
    const { child, folder } = this.#wires;
    const end = performance.now() + patience;
    for (;;) {
      const found = pattern.exec(this.#received);
      if (found !== null) {
        this.#received = this.#received.slice(found.index + found[0].length);
        return found;
      }
      const ended = child.exitCode !== null || child.signalCode !== null;
      if (ended || performance.now() > end) {
        const text = await readFile(join(folder, 'console'), 'latin1').catch(() => '');
        throw new Error(`the machine ${ended ? 'ended' : 'does not answer'}:\n${text.slice(-3000)}`);
      }
      await sleep(5);
    }
  }
}
