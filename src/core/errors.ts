/**
 * Every way a run can end short of success has a stable code. The code is the interface: it is logged, printed,
 * written into reports, and mapped to an exit code (DESIGN §4). The sentences live in `catalogue.ts`.
 */

/** Exit codes of the command line, after sysexits.h(3). */
export const exitCodes = {
  done: 0,
  fault: 1,
  usage: 64,
  badBundle: 65,
  nixUnavailable: 69,
  deferred: 75,
  refusedByPolicy: 77,
  badConfiguration: 78,
  /** By SIGINT, as a shell reports it: 128 plus the signal’s number. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The bundle itself is wrong: malformed, altered, or not signed by a trusted key. */
export type BundleCode =
  | 'not-a-bundle'
  | 'not-decryptable'
  | 'misnamed'
  | 'bundle-truncated'
  | 'bundle-trailing-data'
  | 'bundle-altered'
  | 'bundle-malformed'
  | 'manifest-malformed'
  | 'schema-unsupported'
  | 'signature-missing'
  | 'signature-malformed'
  | 'signature-unknown-key'
  | 'signature-invalid'
  | 'signature-threshold'
  | 'keyring-malformed'
  | 'keyring-untrusted'
  | 'hosts-malformed'
  | 'hosts-untrusted'
  | 'not-installable'
  | 'not-rebuilt'
  | 'provenance-malformed'
  | 'provenance-mismatch'
  | 'closure-incomplete'
  | 'cache-unusable'
  | 'not-a-system'
  | 'output-mismatch';

/** The bundle is sound, but this machine's policy or history says no. */
export type PolicyCode =
  | 'wrong-host'
  | 'wrong-system'
  | 'wrong-machine'
  | 'host-unknown'
  | 'expired'
  | 'sequence-older'
  | 'part-older'
  | 'sequence-conflict'
  | 'sequence-jump'
  | 'created-ahead'
  | 'keyring-gap'
  | 'keyring-lower'
  | 'key-not-valid'
  | 'role-missing'
  | 'over-limit'
  | 'failed-before'
  | 'release-held'
  | 'cut-off-before'
  | 'staged-too-long'
  | 'operation-forbidden'
  | 'missing-input'
  | 'base-missing';

/** Not now; the same bundle may succeed later without anyone doing anything to it. */
export type DeferCode =
  | 'incomplete'
  | 'parts-missing'
  | 'interrupted'
  | 'stopped'
  | 'unsettled'
  | 'busy'
  | 'nix-unavailable'
  | 'nix-too-old'
  | 'no-space'
  | 'no-boot-space'
  | 'boot-not-mounted'
  | 'medium-unreadable'
  | 'medium-stalled'
  | 'source-unreachable'
  | 'source-empty'
  | 'outside-window'
  | 'not-approved'
  | 'not-now'
  | 'hook-failed'
  | 'floor-lost'
  | 'held-lost'
  | 'state-unreadable'
  | 'unconfirmed'
  | 'not-restarted';

/** Something around the bundle is wrong: configuration, this machine, the flake, a bug. */
export type FaultCode =
  | 'usage'
  | 'root-unusable'
  | 'disk-unusable'
  | 'disk-unconfirmed'
  | 'install-failed'
  | 'no-such-file'
  | 'nothing-asked'
  | 'no-access'
  | 'settings-malformed'
  | 'policy-missing'
  | 'policy-malformed'
  | 'policy-unsafe'
  | 'key-malformed'
  | 'key-exists'
  | 'signer-failed'
  | 'nix-key-untrusted'
  | 'nix-failed'
  | 'build-failed'
  | 'evaluation-failed'
  | 'no-such-host'
  | 'no-such-generation'
  | 'one-way'
  | 'host-key-unknown'
  | 'host-name-unusable'
  | 'source-in-closure'
  | 'secret-in-flake'
  | 'output-in-flake'
  | 'source-changed'
  | 'last-bundle-unreadable'
  | 'bundle-too-large'
  | 'medium-full'
  | 'folder-full'
  | 'medium-read-only'
  | 'medium-failing'
  | 'receipt-malformed'
  | 'advisories-malformed'
  | 'host-not-enrolled'
  | 'host-key-changed'
  | 'receipts-went-back'
  | 'no-medium'
  | 'cannot-listen'
  | 'nothing-to-pass-on'
  | 'came-encrypted'
  | 'source-untrusted'
  | 'source-refused'
  | 'source-misbehaves'
  | 'activation-failed'
  | 'no-boot-entry'
  | 'configuration-unusable'
  | 'health-failed'
  | 'check-failed'
  | 'boot-failed'
  | 'not-confirmed'
  | 'rollback-failed'
  | 'no-way-back'
  | 'left-unwell'
  | 'io-error'
  | 'state-corrupt'
  | 'store-corrupt'
  | 'store-differs'
  | 'staged-lost'
  | 'internal';

export type ReasonCode = BundleCode | PolicyCode | DeferCode | FaultCode;

/**
 * A fault, or an expected refusal on its way up from code that can’t return a verdict (a stream, a parser).
 * `detail` is one sentence about this particular case and never contains a secret.
 */
export class NixmakerError extends Error {
  readonly code: ReasonCode;
  readonly detail: string;

  constructor(code: ReasonCode, detail: string, options?: { cause?: unknown }) {
    super(`${code}: ${detail}`, options);
    this.name = 'NixmakerError';
    this.code = code;
    this.detail = detail;
  }
}

/** The message of anything thrown, on one line and without control characters (it may come from hostile input). */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return printable(text);
}

/** Controls (C0, C1), invisible and direction-changing characters, tag characters, lone surrogates, and noncharacters (core/style.ts). */
const unseen =
  /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]/gu;

/**
 * Each character that would not show as itself becomes `\uXXXX`: in JSON it still means the same, elsewhere it is visible. Newlines
 * stay. Threat: notes, a file name or a message that repaints the operator’s screen, or tells a person something different from a program.
 */
export function visible(text: string): string {
  return text.replace(unseen, (found) =>
    Array.from(
      { length: found.length },
      (_, i) => `\\u${found.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}

/** One field from outside, safe to show on a terminal, in a log line and in a report: `visible`, and on one line. */
export const printable = (text: string): string => visible(text.replaceAll('\n', ' '));
