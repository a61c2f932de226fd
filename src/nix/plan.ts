/** Parses what Nix says it would do (Nix src/libmain/shared.cc, printMissing). */
export interface Plan {
  readonly build: readonly string[];
  readonly fetch: readonly string[];
  /** Paths nobody can supply. */
  readonly unknown: readonly string[];
}

export function parsePlan(lines: readonly string[]): Plan {
  const plan = { build: [] as string[], fetch: [] as string[], unknown: [] as string[] };
  let list: string[] | undefined;
  for (const line of lines) {
    const path = /^\s+(\/nix\/store\/\S+)$/.exec(line)?.[1];
    if (path !== undefined) list?.push(path);
    else if (/derivations? will be built:$/.test(line)) list = plan.build;
    else if (/paths? will be fetched/.test(line)) list = plan.fetch;
    else if (/don't know how to build these paths/.test(line)) list = plan.unknown;
    else list = undefined;
  }
  return plan;
}
