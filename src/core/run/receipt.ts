/** The receipt: what became of one bundle on this machine. A person reads the text, programs the JSON. */
import { entryOf, safetyOf } from '../catalogue.ts';
import { type ExitCode, exitCodes, printable, type ReasonCode } from '../errors.ts';
import { asLines, type Lines } from '../lines.ts';
import type { Operation } from '../schema.ts';
import { sizeText } from '../size.ts';
import { type Freed, freedText } from './freed.ts';
import { type HookResult, hookText } from './hooks.ts';
import type { State } from './lifecycle.ts';
import { stateWord } from './state-words.ts';

export const receiptSchemaVersion = 1;

/** One check of the policy's `health`, at the last look. */
export interface HealthResult {
  readonly check: string;
  readonly ok: boolean;
  readonly detail?: string;
}

export interface Receipt {
  readonly schema: typeof receiptSchemaVersion;
  /** Names this run in every log line and file. */
  readonly transaction: string;
  readonly at: string;
  /** The file’s original name. Untrusted: always printed through `printable`. */
  readonly source: string;
  readonly state: State;
  readonly code?: ReasonCode;
  readonly detail?: string;
  readonly host?: string;
  readonly sequence?: number;
  /** The floor the bundle was signed to go below. */
  readonly downgradeFrom?: number;
  /** Why there is no going back once it has run. */
  readonly noWayBack?: string;
  readonly manifestDigest?: string;
  readonly toplevel?: string;
  readonly operation?: Operation;
  readonly signedBy?: readonly string[];
  readonly generation?: number;
  /** Where the profile pointed before, and what was running: what a rollback returns to. */
  readonly previousToplevel?: string;
  readonly previousGeneration?: number;
  readonly previousCurrent?: string;
  /** Set if an operator went back to an existing generation. */
  readonly targetGeneration?: number;
  /** Then also: the release that was left, which is held, and the one gone to, if known. */
  readonly rolledBackFrom?: number;
  readonly rolledBackTo?: number;
  /** boot_id (proc_sys_kernel(5)) of the boot in which the profile was about to be set. */
  readonly bootId?: string;
  /** systemd units that had failed before anything was changed, or were down. */
  readonly failedUnitsBefore?: readonly string[];
  /**
   * Those that were running after systemd had restarted them by itself, each with how long it had been running (activation/restarts.ts);
   * left out if there were none.
   */
  readonly restartedUnitsBefore?: readonly string[];
  readonly health?: readonly HealthResult[];
  /** The policy’s hooks that ran, in order. */
  readonly hooks?: readonly HookResult[];
  /** Committed under a policy with `hooks.after`, which follows. */
  readonly afterDue?: boolean;
  /** boot_id of the boot in which a person was asked to confirm, and the uptime, in seconds, by which to. */
  readonly askedIn?: string;
  readonly confirmBy?: number;
  /** What a restart would change: `kernel`, `initrd`, `kernel-modules`, `kernel-params`. */
  readonly rebootNeeded?: readonly string[];
  /** Name of the specialisation that ran before the switch. */
  readonly specialisation?: string;
  /** createdAt of the manifest. */
  readonly createdAt?: string;
  /** Things that went as they should but need a person's eye. */
  readonly notices?: readonly string[];
  readonly imported?: { readonly paths: number; readonly bytes: number; readonly milliseconds: number };
  /** What was deleted to make room for it, or after it was committed. */
  readonly freed?: Freed;
  /** What the system changes from the one that was running, in lines for people (closure-diff.ts). */
  readonly changes?: readonly string[];
  /** The last lines of output from Nix or switch-to-configuration. */
  readonly output?: readonly string[];
}

/** A receipt’s exit code. */
export function exitOf({ state, code }: Receipt): ExitCode {
  if (state === 'committed' || state === 'pending' || state === 'staged') return exitCodes.done;
  return code === undefined ? exitCodes.fault : entryOf(code).exit;
}

/** What the word alone does not say. */
const meanings: Readonly<Partial<Record<State, string>>> = {
  staged: ', in the store, and installed from there when its time comes: its medium is no longer needed',
  pending: ', installed and to be confirmed after the next start',
  superseded: ', replaced by another release or system before its time came',
  'rolled-back': ', the previous system was restored',
};

/** A rollback that failed has not left any release. */
const goneThrough: ReadonlySet<State> = new Set(['committed', 'pending', 'superseded']);

/** The report for a person, as written beside the bundle. */
export function receiptText(receipt: Receipt): Lines {
  const lines: string[] = [];
  const say = (label: string, value: string | number | undefined) => {
    if (value !== undefined) lines.push(`${`${label}:`.padEnd(14)}${printable(String(value))}`);
  };
  lines.push(`${printable(stateWord(receipt.state).toUpperCase())}${meanings[receipt.state] ?? ''}`, '');
  if (receipt.code !== undefined) {
    const entry = entryOf(receipt.code);
    say('What', entry.what);
    say('Detail', receipt.detail);
    say('Safe', safetyOf(receipt.code));
    say('Next', entry.next);
    say('Code', receipt.code);
  } else {
    say('What', receipt.detail);
  }
  lines.push('');
  say('Bundle', receipt.source);
  say('Host', receipt.host);
  say('Sequence', receipt.sequence);
  if (receipt.rolledBackFrom !== undefined && goneThrough.has(receipt.state))
    say('Left', `release ${receipt.rolledBackFrom}, now held`);
  say('One-way', receipt.noWayBack);
  say('Operation', receipt.operation);
  say('System', receipt.toplevel);
  say('Generation', receipt.generation);
  say('Previous', receipt.previousToplevel);
  say('Signed by', receipt.signedBy?.join(', '));
  if (receipt.imported)
    say('Imported', `${receipt.imported.paths} paths, ${sizeText(receipt.imported.bytes)}`);
  if (receipt.freed) say('Freed', freedText(receipt.freed));
  say('When', receipt.at);
  say('Transaction', receipt.transaction);
  for (const { check, ok, detail } of receipt.health ?? []) {
    say('Health', `${ok ? 'ok  ' : 'BAD '} ${check}${detail === undefined ? '' : `: ${detail}`}`);
  }
  for (const hook of receipt.hooks ?? []) say('Hook', hookText(hook));
  for (const notice of receipt.notices ?? []) say('Notice', notice);
  if (receipt.changes !== undefined)
    lines.push('', 'Changes:', ...receipt.changes.map((l) => `  ${printable(l)}`));
  if (receipt.output !== undefined && receipt.output.length > 0) {
    lines.push('', 'Last messages:', ...receipt.output.map((l) => `  ${printable(l)}`));
  }
  return asLines(`${lines.join('\n')}\n`);
}
