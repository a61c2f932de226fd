/** One bundle from a file to the end of its life cycle. What can be expected ends in a receipt, never in a throw. */
import { mkdir } from 'node:fs/promises';
import { catalogue } from '../../core/catalogue.ts';
import { type ExitCode, exitCodes, NixmakerError } from '../../core/errors.ts';
import { decide, type Verdict } from '../../core/policy/decide.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import type { Operation } from '../../core/schema.ts';
import { pingStore, requireRecentNix } from '../../nix/settings.ts';
import type { VerifiedManifest } from '../../signing/verify.ts';
import { activate } from '../activate/activate.ts';
import { resumeStopped } from '../activate/resume.ts';
import { handOver } from '../ask/activation.ts';
import { gatherFacts } from '../machine/facts.ts';
import type { Machine } from '../machine/machine.ts';
import { Transaction } from '../machine/transaction.ts';
import { endingWhatThrows, withLock } from '../machine/with-lock.ts';
import { vouchFor } from '../root/vouch.ts';
import {
  checkRoom,
  dropImportRoots,
  importContents,
  realiseToplevel,
  requireBase,
  rootImport,
} from './import.ts';
import { type Contents, type Examined, examine, type Source } from './open.ts';

export interface TakeRequest {
  /** Name for people; for a path the path itself. */
  readonly name: string;
  readonly source: Source;
  /** What the command line asks for; without it the policy's operation. */
  readonly operation?: Operation;
}

/** Runs a bundle through to its end. The lock is held for exactly that long. */
export function takeBundle(machine: Machine, request: TakeRequest): Promise<Receipt> {
  return withLock(machine, async () => {
    await resumeStopped(machine);
    const transaction = await Transaction.begin(machine, request.name);
    return endingWhatThrows(machine, { transaction }, () =>
      proceed(machine, transaction, request).catch((error: unknown) => {
        throw request.source.onMedium === true ? asPulled(error) : error;
      }),
    );
  });
}

/** What lay there whole when it was judged, and is short now, has gone with its medium. */
function asPulled(error: unknown): unknown {
  return error instanceof NixmakerError && error.code === 'bundle-truncated'
    ? new NixmakerError('medium-unreadable', error.detail, { cause: error })
    : error;
}

async function proceed(machine: Machine, transaction: Transaction, request: TakeRequest): Promise<Receipt> {
  await mkdir(machine.settings.runtimeDirectory, { recursive: true });
  const examined = await examine(machine, request.source);
  try {
    return await judgeAndInstall(machine, {
      transaction,
      examined,
      operation: request.operation ?? machine.policy.operation,
      unattended: request.operation === undefined,
    });
  } finally {
    await examined.close();
  }
}

interface Work {
  readonly transaction: Transaction;
  readonly examined: Examined;
  readonly operation: Operation;
  readonly unattended: boolean;
}

async function judgeAndInstall(
  machine: Machine,
  { transaction, examined, operation, unattended }: Work,
): Promise<Receipt> {
  const { verified } = examined;
  const { manifest, digest } = verified;
  transaction.learn({
    host: manifest.host,
    sequence: manifest.sequence,
    ...(manifest.downgradeFrom === undefined ? {} : { downgradeFrom: manifest.downgradeFrom }),
    createdAt: manifest.createdAt,
    manifestDigest: digest,
    toplevel: manifest.toplevel,
    operation,
    bootId: machine.bootId,
    signedBy: verified.signedBy,
  });
  await requireWhole(examined);
  const verdict = decide(
    manifest,
    await gatherFacts(machine, verified, { operation, unattended }),
    machine.policy,
  );
  if (verdict.verdict === 'refuse' || verdict.verdict === 'defer') return endAs(transaction, verdict);
  // Only now are the megabytes read: a refused bundle costs its first kilobytes.
  const contents = verdict.verdict === 'accept' ? await examined.open() : undefined;
  await transaction.advance('verified');
  if (contents === undefined) {
    return transaction.end('committed', { detail: nothingToDo(verdict) });
  }
  await transaction.advance('accepted');
  return install(machine, { transaction, verified, head: examined.head, contents, operation, unattended });
}

/** Ends a run as the decision says. */
export function endAs(
  transaction: Transaction,
  { verdict, code, detail }: Extract<Verdict, { verdict: 'refuse' | 'defer' }>,
): Promise<Receipt> {
  return transaction.end(verdict === 'refuse' ? 'refused' : 'deferred', { code, detail });
}

export function nothingToDo({ verdict }: Verdict): string {
  return verdict === 'already-pending'
    ? 'This bundle is installed already and waits for the next start; nothing was to be done.'
    : 'This bundle had been taken before; nothing was to be done.';
}

/** Nothing is decided, and nobody's file is moved away, while bytes are missing. */
async function requireWhole({ present, size }: Examined): Promise<void> {
  const there = await present();
  if (there < size) throw new NixmakerError('bundle-truncated', `${there} of ${size} bytes are there`);
}

interface Installation {
  readonly transaction: Transaction;
  readonly verified: VerifiedManifest;
  readonly head: Examined['head'];
  readonly contents: Contents;
  readonly operation: Operation;
  readonly unattended: boolean;
}

async function install(
  machine: Machine,
  { transaction, verified, head, contents, operation, unattended }: Installation,
): Promise<Receipt> {
  const { manifest } = verified;
  await requireRecentNix(machine.nix);
  await pingStore(machine.nix);
  await requireBase(machine, manifest, contents);
  await checkRoom(machine, manifest);
  const signatures = await vouchFor(machine, { transaction, verified, head, contents });
  await rootImport(machine, manifest);
  let release: (() => void) | undefined;
  try {
    release = await importContents(machine, { transaction, manifest, contents, signatures });
    await transaction.advance('imported');
    await realiseToplevel(machine, { transaction, manifest });
    await transaction.advance('realised');
    if (machine.handsOver) return await handOver(machine, { transaction, head, operation });
    return await activate(machine, { transaction, toplevel: manifest.toplevel, operation, unattended });
  } finally {
    release?.();
    await dropImportRoots(machine);
  }
}

/** The exit code that stands for a receipt. */
export function exitOf(receipt: Receipt): ExitCode {
  if (receipt.state === 'committed' || receipt.state === 'pending') return exitCodes.done;
  return receipt.code === undefined ? exitCodes.fault : catalogue[receipt.code].exit;
}
