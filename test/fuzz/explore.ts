/**
 * The search: inputs are changed at random, and what takes a branch that none took before (or takes it many more times) is kept, to
 * be changed further.
 */
import { randomFrom } from '../support/mutate.ts';
import { clear, Reached } from './coverage.ts';
import { type Finding, judge } from './judge.ts';
import type { Random } from './mutations/bytes.ts';
import type { Target } from './targets/target.ts';

/** Larger inputs find what smaller ones find, and take longer. */
const mostBytes = 256 * 1024;
/** A corpus is to stay small; a chunk of an age file is 64 KiB. */
const mostKeptBytes = 72 * 1024;
/** The same fault comes again and again; a few are enough to see what it is. */
const mostFindings = 5;

export class Explorer {
  readonly target: Target;
  readonly findings: Finding[] = [];
  runs = 0;
  readonly #random: Random;
  readonly #reached = new Reached();
  readonly #inputs: Buffer[] = [];
  readonly #kinds = new Set<string>();

  constructor(target: Target, seed: number) {
    this.target = target;
    this.#random = randomFrom(seed);
  }

  /** Branches. */
  get reached(): number {
    return this.#reached.size;
  }

  /** What is good already, and what was kept. */
  async begin(corpus: readonly Buffer[]): Promise<void> {
    for (const data of [...(await this.target.seeds()), ...corpus]) await this.#try(data);
  }

  /** @param milliseconds after which nothing new is begun */
  async explore(milliseconds: number): Promise<void> {
    const end = performance.now() + milliseconds;
    while (performance.now() < end && this.findings.length < mostFindings) await this.#try(this.#changed());
  }

  #changed(): Buffer {
    const random = this.#random;
    // Newer ones more often: what they reached has been tried least.
    const back = Math.min(random(this.#inputs.length), random(this.#inputs.length));
    let data = this.#inputs[this.#inputs.length - 1 - back] as Buffer;
    for (let n = 1 + random(2); n > 0; n--) data = this.target.mutate(data, random, this.#inputs);
    return data.subarray(0, mostBytes);
  }

  async #try(data: Buffer): Promise<void> {
    this.runs += 1;
    clear();
    const finding = await judge(this.target, data);
    if (this.#reached.add()) this.#inputs.push(data);
    if (finding === undefined) return;
    // The same fault by way of other bytes is one finding.
    const kind = finding.why.slice(finding.why.indexOf('\n    at ')).replace(/\d+/g, '#').slice(0, 300);
    if (!this.#kinds.has(kind)) this.findings.push(finding);
    this.#kinds.add(kind);
  }

  /** As few inputs as take every branch that was taken, the smallest first; seeds are not among them. */
  async minimised(): Promise<Buffer[]> {
    const reached = new Reached();
    const takes = async (data: Buffer) => {
      const before = reached.size;
      clear();
      await judge(this.target, data);
      reached.add();
      return reached.size > before;
    };
    for (const data of await this.target.seeds()) await takes(data);
    const kept: Buffer[] = [];
    const small = this.#inputs.filter((data) => data.length <= mostKeptBytes);
    for (const data of small.toSorted((a, b) => a.length - b.length)) if (await takes(data)) kept.push(data);
    return kept;
  }
}
