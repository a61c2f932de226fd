/**
 * The evaluation of a run’s hosts, ahead of what is built and packed: each takes a gigabyte or two and one processor, so that several go
 * at a time as far as the memory goes; by nix-eval-jobs where it is installed, and by so many `nix eval` otherwise.
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

/** Of one evaluation: what a NixOS system’s may take, and what a worker of nix-eval-jobs may have before it starts anew. */
const gibibytes = 2;

/** How many go at a time on this machine. @param memory bytes that may still be used */
export const evaluationsAtOnce = (processors: number, memory: number): number =>
  Math.max(1, Math.min(processors, Math.floor(memory / (gibibytes * 1024 ** 3))));

interface Wanted {
  readonly source: Pick<LockedSource, 'reference' | 'isLocked' | 'check'>;
  readonly hosts: readonly string[];
  /** At a time; undefined: as many as this machine bears. */
  readonly jobs: number | undefined;
  /** For Nix’s roots. */
  readonly links: string;
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

  /** Begins with all of them. */
  static begin(nix: NixContext, wanted: Wanted): Evaluation {
    const evaluation = new Evaluation(nix, wanted);
    const limit = pLimit(evaluation.#jobs);
    // One is evaluated as it always was; and only what is locked may an expression name.
    const isForJobs = wanted.hosts.length > 1 && wanted.source.isLocked;
    const all = isForJobs ? evaluation.#byJobs() : Promise.resolve(undefined);
    for (const host of wanted.hosts) {
      const outcome = all.then(async (found) => {
        const known = found?.get(host);
        if (known instanceof NixFailure) throw known;
        return known ?? limit(() => evaluation.#byNix(host));
      });
      // Told where it is asked for, and not where nobody waits yet.
      outcome.catch(() => undefined);
      evaluation.#outcomes.set(host, outcome);
    }
    return evaluation;
  }

  /** @param host one of those it began with @throws NixmakerError `evaluation-failed`, `source-changed` */
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
    const { source, links } = this.#wanted;
    const evaluated = await evaluateHost(this.#nix, source.reference, host);
    await source.check();
    // Hours may go by before it is built.
    await holdDerivation(this.#nix, { path: evaluated.derivation, link: join(links, `recipe-${host}`) });
    return evaluated;
  }
}
