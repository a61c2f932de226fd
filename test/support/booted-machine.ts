/** A machine in a sandbox that is restarted: its boots by number, and what is installed, would boot and runs. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after } from 'node:test';
import { readFloor } from '../../src/state/floor.ts';
import { defaultSystem } from '../machines/boot-menu.ts';
import { asBooted, restart } from '../machines/restart.ts';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { plainHost, type Workshop } from './fleet.ts';

export interface Outcome {
  readonly state: string;
  readonly code?: string;
  readonly detail?: string;
  readonly toplevel?: string;
  readonly notices?: readonly string[];
  readonly rebootNeeded?: readonly string[];
}

export class BootedMachine {
  readonly target: Target;
  #boots = 0;

  constructor(target: Target) {
    this.target = target;
  }

  /** Runs a verb in the present boot. */
  async runs(verb: string, argument = ''): Promise<Outcome[]> {
    const ran = await asBooted(this.target, `boot-${this.#boots}`, verb, argument);
    if (ran.code !== 0) throw new Error(ran.stderr);
    return (JSON.parse(ran.stdout) as (Outcome | null)[]).filter((r) => r !== null);
  }

  async does(verb: string, argument = ''): Promise<Outcome> {
    const [outcome] = await this.runs(verb, argument);
    assert.ok(outcome !== undefined, `${verb} said nothing`);
    return outcome;
  }

  async restart(generation?: number): Promise<void> {
    this.#boots += 1;
    await restart(this.target, generation);
  }

  /** Which release is installed, which is the boot loader’s default, which runs. */
  async stands() {
    const { target } = this;
    const motd = async (system: string) =>
      /release (\S+)|^(\S+)$/.exec((await target.run(['cat', `${system}/etc/motd`])).stdout.trim())?.[0];
    return {
      installed: await motd('/nix/var/nix/profiles/system'),
      default: await motd((await defaultSystem(target.root)) ?? 'none'),
      runs: await motd('/run/current-system'),
      floor: (await readFloor(target.stateDirectory)).floor?.sequence,
    };
  }
}

export class BootedMachines {
  readonly #shop: Workshop;
  readonly #made: Target[] = [];
  #golden: Promise<Target> | undefined;

  constructor(shop: Workshop) {
    this.#shop = shop;
    // Not within a test: what is made once and awaited by many belongs to none of them.
    after(() => Promise.all(this.#made.map((target) => target.close())));
  }

  release(
    name: string,
    sequence: number,
    host = plainHost('web', name),
    switchPrelude?: string,
  ): Promise<string> {
    return this.#shop.bundle(name, {
      hosts: { web: host },
      args: ['--sequence', String(sequence)],
      ...(switchPrelude === undefined ? {} : { switchPrelude }),
    });
  }

  /** A machine that has taken release `a` and come up in it: a copy of the first that did. */
  async make(name: string, policy: Record<string, unknown> = {}): Promise<BootedMachine> {
    this.#golden ??= this.#makeGolden();
    const machine = new BootedMachine(await this.#target(name, policy, (await this.#golden).root));
    await machine.restart();
    return machine;
  }

  async #makeGolden(): Promise<Target> {
    const machine = new BootedMachine(await this.#target('golden', {}));
    assert.equal((await machine.does('switch', await this.release('a', 0))).state, 'committed');
    await machine.target.close();
    return machine.target;
  }

  async #target(name: string, policy: Record<string, unknown>, copyOf?: string): Promise<Target> {
    const root = join(this.#shop.folder, name);
    const target = await makeTarget(root, {
      host: 'web',
      trustedKeys: [this.#shop.keys.publicKey],
      policy: { operation: 'boot', operations: ['switch', 'boot', 'test'], ...policy },
      ...(copyOf === undefined ? {} : { copyOf }),
    });
    this.#made.push(target);
    return target;
  }
}
