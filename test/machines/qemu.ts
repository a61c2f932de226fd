/**
 * A machine in QEMU (test/machines/qemu), with real USB sticks that are plugged and pulled over QMP, and a drive whose cache is
 * lost with the power. By emulation: everything takes twenty times as long as elsewhere, so tests do much in one start.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlLine } from './control-line.ts';
import { checkout } from './program.ts';
import { Qmp } from './qmp.ts';

const bootPatience = 300_000;

export interface Stick {
  /** Of the image in the machine's folder. */
  readonly image: string;
  /** Bytes a second at most: else a pull comes too late to miss a read. */
  readonly speed?: number;
  /** As a stick with a switch, turned to “protected”. */
  readonly readOnly?: boolean;
}

export class Qemu extends ControlLine {
  static readonly #running = new Set<Qemu>();
  readonly folder: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<never>;
  #qmp: Qmp | undefined;
  #plugged = 0;

  private constructor(folder: string, child: ChildProcess) {
    super({ child, reading: child.stdout as Readable, writing: child.stdin as Writable, folder });
    this.folder = folder;
    this.#child = child;
    this.#ended = once(child, 'exit').then(() => {
      throw new Error('QEMU has ended');
    });
    this.#ended.catch(() => undefined);
  }

  /** @param args of QEMU’s besides */
  static async boot(folder: string, args: readonly string[] = []): Promise<Qemu> {
    if (process.env.NIXMAKER_QEMU === undefined)
      throw new Error('NIXMAKER_QEMU is not set: run this test with scripts/test-vm');
    const log = openSync(join(folder, 'qemu.log'), 'a');
    const child = spawn(join(checkout, 'test/machines/qemu'), [folder, ...args], {
      stdio: ['pipe', 'pipe', log],
    });
    const machine = new Qemu(folder, child);
    Qemu.#running.add(machine);
    child.once('exit', () => Qemu.#running.delete(machine));
    await machine.ready(bootPatience);
    machine.#qmp = await Qmp.connect(join(folder, 'qmp'));
    return machine;
  }

  static async cutAll(): Promise<void> {
    await Promise.all([...Qemu.#running].map((machine) => machine.cutPower()));
  }

  /** @returns what to pull */
  async plug({ image, speed, readOnly = false }: Stick): Promise<string> {
    this.#plugged += 1;
    const id = `stick${this.#plugged}`;
    const drive = await this.#addBlock(id, { image, readOnly, ...(speed === undefined ? {} : { speed }) });
    await this.#call('device_add', { driver: 'usb-bot', id, bus: 'xhci.0' });
    await this.#call('device_add', {
      driver: 'scsi-hd',
      id: `${id}-disk`,
      bus: `${id}.0`,
      drive,
      removable: true,
    });
    await this.#call('qom-set', { path: `/machine/peripheral/${id}`, property: 'attached', value: true });
    return id;
  }

  /**
   * Pulls a stick out, in the middle of whatever is being read from it: the device leaves its port and stays as an object.
   * It keeps its port, too: xHCI has 15 of them, enough for one life of a machine. With device_del, where a request can outlive its device, QEMU 11 crashes at about every tenth pull.
   */
  async pull(id: string): Promise<void> {
    await this.#call('qom-set', { path: `/machine/peripheral/${id}`, property: 'attached', value: false });
  }

  /**
   * A drive for discs, or a reader for cards, that stays where it is: what comes of it is a change of its medium, and the kernel has to look
   * for that. @param blank an image of a card to begin with; a drive for discs begins empty @returns what to insert into
   */
  async plugReader(blank?: string): Promise<string> {
    this.#plugged += 1;
    const id = `reader${this.#plugged}`;
    await this.#call('device_add', { driver: 'usb-bot', id, bus: 'xhci.0' });
    const common = { id: `${id}-disk`, bus: `${id}.0` };
    if (blank === undefined) await this.#call('device_add', { driver: 'scsi-cd', ...common });
    else {
      await this.#addBlock(`${id}-blank`, { image: blank });
      await this.#call('device_add', { driver: 'scsi-hd', drive: `${id}-blank`, removable: true, ...common });
    }
    await this.#call('qom-set', { path: `/machine/peripheral/${id}`, property: 'attached', value: true });
    return `${id}-disk`;
  }

  async insert(reader: string, stick: Stick): Promise<void> {
    this.#plugged += 1;
    const node = await this.#addBlock(`medium${this.#plugged}`, stick);
    const hasTray = !reader.startsWith('sd');
    if (hasTray) await this.#call('blockdev-open-tray', { id: reader, force: true });
    await this.#call('blockdev-insert-medium', { id: reader, 'node-name': node });
    if (hasTray) await this.#call('blockdev-close-tray', { id: reader });
  }

  /** As with a paper clip: nobody is asked. */
  async takeOut(reader: string): Promise<void> {
    if (!reader.startsWith('sd')) await this.#call('blockdev-open-tray', { id: reader, force: true });
    await this.#call('blockdev-remove-medium', { id: reader });
  }

  /** The drive asks the machine, which has locked it; it opens when it is told to. */
  async pressEject(reader: string): Promise<void> {
    await this.#call('blockdev-open-tray', { id: reader });
  }

  /** The power is gone, and with it what the machine's memory and the drive's cache held. */
  async cutPower(): Promise<void> {
    if (this.#hasEnded) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
    this.#qmp?.close();
    // The namespace's other processes go with its first, a moment later; the disk is theirs until then.
    await sleep(500);
  }

  /** Whether QEMU itself has crashed, no fault of what is tested: its sockets are closed a moment before it has ended. */
  async hasCrashed(): Promise<boolean> {
    const patience = AbortSignal.timeout(5000);
    while (!this.#hasEnded && !patience.aborted && !this.#qmp?.isOpen) await sleep(20);
    return this.#hasEnded;
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** @returns its node */
  async #addBlock(id: string, { image, speed, readOnly = false }: Stick): Promise<string> {
    // A stick that was pulled keeps its file open; without locks it can be plugged again.
    const file = { driver: 'file', filename: `/tmp/work/${image}`, 'read-only': readOnly, locking: 'off' };
    const name = speed === undefined ? id : `${id}-raw`;
    const raw = { driver: 'raw', 'node-name': name, 'read-only': readOnly, file };
    if (speed === undefined) await this.#call('blockdev-add', raw);
    else {
      const limits = { 'bps-total': speed };
      await this.#call('object-add', { 'qom-type': 'throttle-group', id: `${id}-limit`, limits });
      const throttle = { driver: 'throttle', 'node-name': id, 'throttle-group': `${id}-limit` };
      await this.#call('blockdev-add', { ...throttle, 'read-only': readOnly, file: raw });
    }
    return id;
  }

  async #call(command: string, args: Record<string, unknown>): Promise<unknown> {
    if (this.#qmp === undefined) throw new Error('the machine has not been booted');
    if (this.#hasEnded) throw new Error('QEMU has ended');
    return Promise.race([this.#qmp.call(command, args), this.#ended]);
  }
}
