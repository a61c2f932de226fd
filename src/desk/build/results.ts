/** What became of each host of a build. */
import type { Leak } from '../../core/bundle/leaks.ts';
import { type ExitCode, exitCodes, NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { faultOf } from '../../core/fault.ts';
import { given } from '../../core/given.ts';
import type { StorePath } from '../../core/store-path.ts';
import { NixFailure } from '../../nix/failure.ts';

export interface BuiltHost {
  readonly host: string;
  readonly status: 'built';
  readonly bundle: string;
  readonly bytes: number;
  readonly sequence: number;
  readonly paths: number;
  readonly toplevel: StorePath;
  readonly signedBy: string | undefined;
  readonly leaks: readonly Leak[];
}

export interface FailedHost {
  readonly host: string;
  readonly status: 'failed';
  readonly code: ReasonCode;
  readonly detail: string;
  /** The lines of Nix’s output that a person needs: the last block of an error, the end of a builder’s log. */
  readonly excerpt?: readonly string[];
  /** Nix’s full output, if it was more than one line. */
  readonly log?: string;
}

export type HostResult = BuiltHost | FailedHost;

/** Runs the hosts' work and shows progress; report/ has one version for terminals and one for everything else. */
export type HostRunner = (
  hosts: readonly string[],
  work: (host: string, say: (text: string) => void) => Promise<HostResult>,
) => Promise<HostResult[]>;

export function failed(host: string, error: unknown): FailedHost {
  const log = error instanceof NixmakerError && typeof error.cause === 'string' ? error.cause : undefined;
  const excerpt = error instanceof NixFailure && error.excerpt.length > 0 ? error.excerpt : undefined;
  return given({ host, status: 'failed' as const, ...faultOf(error), excerpt, log });
}

export function exitOfBuild(results: readonly HostResult[]): ExitCode {
  return results.every((r) => r.status === 'built') ? exitCodes.done : exitCodes.fault;
}
