/**
 * Evaluates a run’s hosts ahead of building and packing. Each takes a gigabyte or two and one processor, so several run
 * at a time as far as memory allows: with nix-eval-jobs if it is installed, otherwise with that many `nix eval` processes.
 */
import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import pLimit from 'p-limit';
import type { NixContext } from '../../nix/command.ts';
import { runEvalJobs } from '../../nix/eval-jobs.ts';
import { NixFailure } from '../../nix/failure.ts';
import { type EvaluatedHost, evaluateHost, holdDerivation } from '../../nix/flake.ts';
import type { LockedSource } from './source.ts';

/** Per evaluation: what a NixOS system’s may take, and what a nix-eval-jobs worker may use before it is restarted. */
const gibibytes = 2;

/** How many run at a time on this machine. @param memory bytes still available */
export const evaluationsAtOnce = (processors: number, memory: number): number =>
  Math.max(1, Math.min(processors, Math.floor(memory / (gibibytes * 1024 ** 3))));

interface Wanted {
  readonly source: Pick<LockedSource, 'reference' | 'isLocked' | 'check'>;
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
  readonly #outcomes = new Map<string, Promise<EvaluatedHost>>();

  private constructor(nix: NixContext, wanted: Wanted) {
    this.#nix = nix;
    this.#wanted = wanted;
    this.#jobs = wanted.jobs ?? evaluationsAtOnce(availableParallelism(), process.availableMemory());
  }

  /** Starts all of them. */
  static begin(nix: NixContext, wanted: Wanted): Evaluation {
    const evaluation = new Evaluation(nix, wanted);
    const limit = pLimit(evaluation.#jobs);
    // A single one is evaluated as before; and an expression may only name what is locked.
    const isForJobs = wanted.hosts.length > 1 && wanted.source.isLocked;
    const all = isForJobs ? evaluation.#byJobs() : Promise.resolve(undefined);
    for (const host of wanted.hosts) {
      const outcome = all.then(async (found) => {
        const known = found?.get(host);
        if (known instanceof NixFailure) throw known;
        return known ?? limit(() => evaluation.#byNix(host));
      });
      // Reported when it is asked for, not while nobody is waiting for it.
      outcome.catch(() => undefined);
      evaluation.#outcomes.set(host, outcome);
    }
    return evaluation;
  }

  /** @param host one of those it was started with @throws NixmakerError `evaluation-failed`, `source-changed` */
  of(host: string): Promise<EvaluatedHost> {
    return this.#outcomes.get(host) as Promise<EvaluatedHost>;
  }

  async #byJobs(): Promise<ReadonlyMap<string, EvaluatedHost | NixFailure> | undefined> {
    const { source, hosts, links } = this.#wanted;
    const roots = join(links, 'derivations');
    await mkdir(roots, { recursive: true });
    const ran = await runEvalJobs(this.#nix, {
      flake: source.reference,
      hosts,
      workers: this.#jobs,
      memory: gibibytes * 1024,
      roots,
    });
    if (ran === undefined) return undefined;
    if (ran.trouble !== undefined)
      this.#nix.warn?.(
        `note: nix-eval-jobs did not evaluate all hosts; nix evaluates the rest: ${ran.trouble}`,
      );
    return ran.found;
  }

  async #byNix(host: string): Promise<EvaluatedHost> {
    const { source, links, isAtOnce = false } = this.#wanted;
    const evaluated = await evaluateHost(this.#nix, source.reference, host);
    await source.check();
    // Otherwise hours may pass before it is built.
    if (!isAtOnce)
      await holdDerivation(this.#nix, { path: evaluated.derivation, link: join(links, `recipe-${host}`) });
    return evaluated;
  }
}
