/**
 * Evaluates many hosts in one call of nix-eval-jobs, if it is installed: Nix’s own evaluator, in workers that share nothing and are
 * restarted when they have used too much memory (github.com/nix-community/nix-eval-jobs, README). It prints one line of JSON per host.
 */
import { given } from '../core/given.ts';
import { drvPath, storePath } from '../core/schema.ts';
import * as z from '../core/zod.ts';
import type { NixContext } from './command.ts';
import { failureFor, type NixFailure, type NixMessage } from './failure.ts';
import { type EvaluatedHost, quoted } from './flake.ts';

const job = z.intersection(
  z.object({ attrPath: z.tuple([z.string()]) }),
  z.union([
    z.object({ error: z.string() }),
    z.object({
      drvPath,
      outputs: z.object({ out: storePath }),
      meta: z.object({ nixmakerSystem: z.string() }),
    }),
  ]),
);

/** A set of derivations, lazily: a broken host does not affect the others. */
const expressionOf = (flake: string, hosts: readonly string[]): string =>
  `let
    all = (builtins.getFlake ${quoted(flake)}).outputs.nixosConfigurations;
    jobOf = host: let top = host.config.system.build.toplevel; in
      top // { meta.nixmakerSystem = host.pkgs.stdenv.hostPlatform.system or top.system; };
  in builtins.listToAttrs (map (name: { inherit name; value = jobOf all.\${name}; }) [ ${hosts.map(quoted).join(' ')} ])`;

export interface EvalJobs {
  readonly flake: string;
  readonly hosts: readonly string[];
  readonly workers: number;
  /** Mebibytes, after which a worker is restarted. */
  readonly memory: number;
  /** A folder for Nix’s roots of the derivations. */
  readonly roots: string;
}

export interface EvalJobsResult {
  readonly found: ReadonlyMap<string, EvaluatedHost | NixFailure>;
  /** Why some are missing; undefined if nothing went wrong. */
  readonly trouble: string | undefined;
}

/** @returns undefined if it is not installed. Hosts missing from `found` have yet to be evaluated */
export async function runEvalJobs(
  { run, signal, env, warn }: NixContext,
  { flake, hosts, workers, memory, roots }: EvalJobs,
): Promise<EvalJobsResult | undefined> {
  // Otherwise an expression may look at the evaluating machine, which `nix eval` of a flake may not.
  const options = [
    '--option',
    'pure-eval',
    'true',
    '--option',
    'extra-experimental-features',
    'nix-command flakes',
  ];
  const bounds = ['--workers', String(workers), '--max-memory-size', String(memory)];
  const args = [
    ...options,
    ...bounds,
    '--gc-roots-dir',
    roots,
    '--meta',
    '--expr',
    expressionOf(flake, hosts),
  ];
  const said: string[] = [];
  const result = await run('nix-eval-jobs', args, {
    ...given({ signal, env }),
    onStderrLine: (line) => {
      if (line.startsWith('warning:')) warn?.(line);
      else said.push(line);
      if (said.length > 20) said.shift();
    },
  });
  if (result.startError !== undefined) return undefined;
  const found = new Map<string, EvaluatedHost | NixFailure>();
  for (const line of result.stdout.split('\n')) {
    const parsed = job.safeParse(asJson(line));
    if (parsed.success) found.set(parsed.data.attrPath[0], outcomeOf(parsed.data));
  }
  const ended = result.exitCode === 0 ? undefined : `it ended with ${result.exitCode ?? 'a signal'}`;
  return { found, trouble: ended && [ended, said.at(-1)].filter(Boolean).join(': ') };
}

function outcomeOf(told: z.infer<typeof job>): EvaluatedHost | NixFailure {
  if ('error' in told) return failureFor([withoutTrace(told.error)], 'evaluation-failed');
  return { derivation: told.drvPath, toplevel: told.outputs.out, system: told.meta.nixmakerSystem };
}

/** The trace comes first; what went wrong is in the last block that begins with `error:`. */
function withoutTrace(text: string): NixMessage {
  const lines = text.split('\n');
  const last = lines.findLastIndex((line) => /^\s*error:/.test(line));
  const raw = lines
    .slice(Math.max(0, last))
    .map((line) => line.trim())
    .join('\n')
    .replace(/^error:\s*/, '');
  return { level: 0, text: text.startsWith('error:') ? text : `error: ${text}`, raw };
}

function asJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
