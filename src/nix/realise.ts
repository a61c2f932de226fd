/** Realises a derivation’s outputs, as far as the policy allows. */
import { NixmakerError } from '../core/errors.ts';
import type { RealiseMode } from '../core/policy/policy.ts';
import { type DrvPath, parseStorePathLines, type StorePath } from '../core/store-path.ts';
import { legacyNix, type NixContext, type NixProgressOption, nix, toOptions } from './command.ts';
import { parsePlan } from './plan.ts';

const modeOptions: Readonly<Record<RealiseMode, readonly string[]>> = {
  'never-build': ['substitute', 'false', 'max-jobs', '0'],
  substitute: ['max-jobs', '0'],
  build: [],
};

/**
 * Realises a derivation’s outputs within the policy’s mode. What would be needed is asked first, because Nix, when told not to build,
 * prints a line for every derivation of the closure.
 * @throws NixmakerError `missing-input`, `build-failed`
 */
export async function realise(
  context: NixContext,
  { derivation, toplevel, mode }: { derivation: DrvPath; toplevel: StorePath; mode: RealiseMode },
  options: NixProgressOption = {},
): Promise<StorePath[]> {
  const flags = toOptions(modeOptions[mode]);
  // NixOS forbids substituting its toplevels as outputs of a derivation (allowSubstitutes = false), but caches may supply them as plain
  // paths.
  if (mode === 'substitute') await fetchPath(context, toplevel, flags);
  const plan = parsePlan(await dryRun(context, derivation, flags));
  const unavailable = plan.unknown[0] ?? (mode === 'build' ? undefined : plan.build[0]);
  if (unavailable !== undefined) {
    const more = plan.unknown.length + (mode === 'build' ? 0 : plan.build.length) - 1;
    throw new NixmakerError(
      'missing-input',
      `${unavailable}${more > 0 ? ` and ${more} more` : ''} (policy: realise ${mode})`,
    );
  }
  const args = ['build', `${derivation}^*`, '--no-link', '--print-out-paths', ...flags];
  const out = await nix(context, args, { ...options, failure: 'build-failed' });
  return parseStorePathLines(out);
}

/** Fetches a path from the caches the store trusts, if one has it. */
async function fetchPath(context: NixContext, path: StorePath, flags: readonly string[]): Promise<void> {
  try {
    await legacyNix(
      context,
      { program: 'nix-store', args: ['--realise', ...flags, path] },
      { failure: 'missing-input' },
    );
  } catch (error) {
    // It is no error if no cache has it: the plan that follows names what is missing.
    if (!(error instanceof NixmakerError && error.code === 'missing-input')) throw error;
  }
}

/** The output of `nix-store --realise --dry-run`; it goes to standard error, and the exit code says nothing. */
async function dryRun(context: NixContext, derivation: DrvPath, flags: readonly string[]): Promise<string[]> {
  const lines: string[] = [];
  const listening: NixContext = {
    ...context,
    run: (program, args, options) =>
      context.run(program, args, {
        ...options,
        onStderrLine: (line) => {
          lines.push(line);
          options?.onStderrLine?.(line);
        },
      }),
  };
  await legacyNix(
    listening,
    { program: 'nix-store', args: ['--realise', '--dry-run', ...flags, derivation] },
    { failure: 'missing-input' },
  );
  return lines;
}
