/** Targets of one test file, and what most of its tests do with them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after } from 'node:test';
import { makeTarget, type Target, type TargetOptions } from '../machines/sandboxed-target.ts';
import { plainHost, type Workshop } from './fleet.ts';

/** Of a receipt, what tests look at. */
export interface Told {
  readonly state: string;
  readonly code?: string;
  readonly detail?: string;
  readonly generation?: number;
  readonly notices?: string[];
  readonly previousToplevel?: string;
  readonly toplevel: string;
}

export const parse = (text: string) => JSON.parse(text) as Told;

export async function take(target: Target, verb: string, path: string, ...more: string[]) {
  const ran = await target.verb(verb, ['--tarball', path, '--json', ...more]);
  return { ...parse(ran.stdout), exit: ran.code, said: ran.stderr };
}

export class Targets {
  readonly shop: Workshop;
  readonly #made: Target[] = [];
  #count = 0;
  #golden: Promise<{ readonly root: string; readonly one: Told }> | undefined;

  constructor(shop: Workshop) {
    this.shop = shop;
    // Not within a test: what is made once and awaited by many belongs to none of them.
    after(() => Promise.all(this.#made.map((target) => target.close())));
  }

  /** A bundle whose system says its name in motd. */
  release(name: string, ...args: string[]): Promise<string> {
    return this.shop.bundle(name, { hosts: { web: plainHost('web', name) }, args });
  }

  /** A machine that has never had a bundle. */
  async fresh(options: Partial<TargetOptions> = {}): Promise<Target> {
    this.#count += 1;
    const target = await makeTarget(join(this.shop.folder, `target-${this.#count}`), {
      host: 'web',
      trustedKeys: [this.shop.keys.publicKey],
      ...options,
    });
    this.#made.push(target);
    return target;
  }

  /** A machine that runs release `one`, and what it said of it: taken once, and copied for each test. */
  async running(
    options: Partial<TargetOptions> = {},
  ): Promise<{ readonly target: Target; readonly one: Told }> {
    this.#golden ??= this.#make();
    const { root, one } = await this.#golden;
    return { target: await this.fresh({ ...options, copyOf: root }), one };
  }

  async #make() {
    const target = await this.fresh();
    const one = await take(target, 'switch', await this.release('one'));
    assert.equal(one.state, 'committed', one.detail);
    await target.close();
    return { root: target.root, one };
  }
}
