/**
 * Evaluates a run’s hosts ahead of building and packing. Each takes a gigabyte or two and one processor, so several run
 * at a time as far as memory allows: with nix-eval-jobs if it is installed, otherwise with that many `nix eval` processes. Where one
 * host has turned out to take little, a process evaluates several.
 */
import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { isHostName } from '../../core/schema.ts';
import type { NixContext } from '../../nix/command.ts';
import { runEvalJobs } from '../../nix/eval-jobs.ts';
import { NixFailure } from '../../nix/failure.ts';
import { type EvaluatedHost, evaluateHosts, holdDerivation } from '../../nix/flake.ts';
import { holdForNow } from '../../nix/roots.ts';
import type { LockedSource } from './source.ts';

/** Per evaluation: what a NixOS system’s may take, and what a nix-eval-jobs worker may use before it is restarted. */
const gibibytes = 2;
const mostMemory = gibibytes * 1024 ** 3;

/** How many run at a time on this machine. @param memory bytes still available */
export const evaluationsAtOnce = (processors: number, memory: number): number =>
  Math.max(1, Math.min(processors, Math.floor(memory / mostMemory)));

/**
 * How many hosts the next process evaluates: as many as fit into the memory meant for one, and fewer if another process would then have
 * nothing to do.
 * @param memory bytes that a host has taken; undefined: not known, so one host shows it
 */
export const hostsTogether = (left: number, jobs: number, memory: number | undefined): number =>
  memory === undefined
    ? Math.min(1, left)
    : Math.min(Math.ceil(left / jobs), Math.max(1, Math.floor(mostMemory / Math.max(1, memory))));

interface Wanted {
  readonly source: Pick<LockedSource, 'reference' | 'isLocked' | 'check' | 'one'>;
  readonly hosts: readonly string[];
  /** At a time; undefined: as many as this machine allows. */
  readonly jobs: number | undefined;
  /** Where Nix’s roots go. */
  readonly links: string;
  /** Whether what was evaluated is built or packed at once, with nothing in between that would take long. */
  readonly isAtOnce?: boolean;
}

export class Evaluation {
  readonly #nix: NixContext;
  readonly #wanted: Wanted;
  readonly #jobs: number;
  readonly #outcomes: ReadonlyMap<string, PromiseWithResolvers<EvaluatedHost>>;
  /** Whose evaluation has not begun. */
  readonly #left: string[];
  /** The most that a host has taken. Bytes. */
  #memory: number | undefined;
  #begun = 0;

  private constructor(nix: NixContext, wanted: Wanted) {
    this.#nix = nix;
    this.#wanted = wanted;
    this.#jobs = wanted.jobs ?? evaluationsAtOnce(availableParallelism(), process.availableMemory());
    this.#left = wanted.hosts.filter(isHostName);
    this.#outcomes = new Map(this.#left.map((host) => [host, Promise.withResolvers<EvaluatedHost>()]));
    // Reported when it is asked for, not while nobody is waiting for it.
    for (const { promise } of this.#outcomes.values()) promise.catch(() => undefined);
  }

  /** Starts all of them. */
  static begin(nix: NixContext, wanted: Wanted): Evaluation {
    const evaluation = new Evaluation(nix, wanted);
    evaluation.#all().catch((error: unknown) => {
      for (const { reject } of evaluation.#outcomes.values()) reject(error);
    });
    return evaluation;
  }

  /** @param host one of those it was started with @throws NixmakerError `evaluation-failed`, `source-changed` */
  of(host: string): Promise<EvaluatedHost> {
    return (this.#outcomes.get(host) as PromiseWithResolvers<EvaluatedHost>).promise;
  }

  async #all(): Promise<void> {
    const { one, isLocked } = this.#wanted.source;
    if (one !== undefined && this.#left.includes(one.host)) {
      this.#take([one.host]);
      await this.#settle(one.host, one.outcome);
    }
    // A single one is evaluated as before; and an expression may only name what is locked.
    if (this.#left.length > 1 && isLocked) await this.#byJobs();
    await Promise.all(Array.from({ length: this.#jobs }, () => this.#byNix()));
  }

  #take(hosts: readonly string[]): void {
    for (const host of hosts) this.#left.splice(this.#left.indexOf(host), 1);
  }

  async #byJobs(): Promise<void> {
    const { source, links } = this.#wanted;
    const roots = join(links, 'derivations');
    await mkdir(roots, { recursive: true });
    const ran = await runEvalJobs(this.#nix, {
      flake: source.reference,
      hosts: this.#left,
      workers: this.#jobs,
      memory: gibibytes * 1024,
      roots,
    });
    for (const [host, found] of ran?.found ?? []) {
      const outcome = this.#outcomes.get(host);
      if (found instanceof NixFailure) outcome?.reject(found);
      else outcome?.resolve(found);
      if (outcome !== undefined) this.#take([host]);
    }
    if (ran?.trouble !== undefined)
      this.#nix.warn?.(
        `note: nix-eval-jobs did not evaluate all hosts; nix evaluates the rest: ${ran.trouble}`,
      );
  }

  async #byNix(): Promise<void> {
    while (this.#left.length > 0) {
      // What is not locked is looked at again after each.
      const memory = this.#wanted.source.isLocked ? this.#memory : undefined;
      const hosts = this.#left.splice(0, hostsTogether(this.#left.length, this.#jobs, memory));
      await this.#evaluate(hosts);
    }
  }

  async #evaluate(hosts: readonly string[]): Promise<void> {
    const { source, links } = this.#wanted;
    this.#begun += 1;
    const notes = join(links, `evaluation-${this.#begun}`);
    const evaluating = evaluateHosts(this.#nix, { flake: source.reference, hosts, notes });
    const evaluated = await evaluating.catch((error: unknown) => (hosts.length > 1 ? undefined : { error }));
    if (evaluated === undefined) {
      // Whichever it was keeps no other from being built.
      for (const host of hosts) await this.#evaluate([host]);
      return;
    }
    const { memory } = 'error' in evaluated ? {} : evaluated;
    if (memory !== undefined) this.#memory = Math.max(this.#memory ?? 0, memory / hosts.length);
    for (const host of hosts) {
      const outcome =
        'error' in evaluated
          ? Promise.reject(evaluated.error)
          : Promise.resolve(evaluated.hosts.get(host) as EvaluatedHost);
      await this.#settle(host, outcome);
    }
  }

  async #settle(host: string, outcome: Promise<EvaluatedHost>): Promise<void> {
    const { source, links, isAtOnce = false } = this.#wanted;
    const { resolve, reject } = this.#outcomes.get(host) as PromiseWithResolvers<EvaluatedHost>;
    try {
      const evaluated = await outcome;
      await source.check();
      const { derivation: path } = evaluated;
      // Hours may pass before it is built.
      if (isAtOnce) await holdForNow(this.#nix, path);
      else await holdDerivation(this.#nix, { path, link: join(links, `recipe-${host}`) });
      resolve(evaluated);
    } catch (error) {
      reject(error);
    }
  }
}
