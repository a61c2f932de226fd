/** Takes one bundle from a file to the end of its life cycle. Anything foreseeable ends in a receipt, never in a throw. */
import { mkdir } from 'node:fs/promises';
import { messageOf, NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { type StagedWait, toStage } from '../../core/policy/stage.ts';
import type { NixSignatures } from '../../core/release/nix-signatures.ts';
import { hasBegunToChange } from '../../core/run/lifecycle.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import type { Operation } from '../../core/schema.ts';
import { arrivedText } from '../../core/size.ts';
import type { VerifiedManifest } from '../../signing/verify.ts';
import { readFloor } from '../../state/floor.ts';
import { readJournal } from '../../state/journal.ts';
import { keepRelease } from '../../state/kept-releases.ts';
import { decideHere, endAs, learnManifest, nothingToDo } from '../machine/decision.ts';
import { dropImportRoots, rootImport } from '../machine/import-roots.ts';
import type { Machine } from '../machine/machine.ts';
import { findPending } from '../machine/pending.ts';
import type { Root } from '../machine/root.ts';
import { findStaged } from '../machine/staged.ts';
import { outcomeOf, Transaction } from '../machine/transaction.ts';
import { endingWhatThrows, withLock } from '../machine/with-lock.ts';
import { withNix } from '../machine/with-nix.ts';
import { clearBegun, openDeleter } from './clear-begun.ts';
import { importContents, realiseToplevel } from './import.ts';
import { type Contents, type Examined, examine, type Source } from './open.ts';
import { takePart } from './part.ts';
import { type ImportPlan, planImport } from './plan-import.ts';
import { isSignedForNix, vouchFor } from './vouch.ts';
import { withRoom } from './with-room.ts';

export interface TakeRequest {
  /** A name for people; for a path, the path itself. */
  readonly name: string;
  readonly source: Source;
  /** What the command line asks for; if omitted, the policy’s operation. */
  readonly operation?: Operation;
  /**
   * Whether somebody may still be writing the file: contents that don’t match what was signed may not have arrived yet. Asked only then.
   */
  readonly mayStillCome?: () => Promise<boolean>;
  /** What it waited for when last tried: a run that ends the same way again is no news, and leaves no record (transaction.ts). */
  readonly knownWait?: ReasonCode;
}

/** Runs a bundle through to its end. The lock is held for exactly that long. */
export function takeBundle(opened: Machine, root: Root, request: TakeRequest): Promise<Receipt> {
  const machine = withNix(opened, { ...opened.nix, settings: {} });
  return withLock(machine, async () => {
    await root.resume();
    const { name: source, knownWait } = request;
    const transaction = await Transaction.begin(machine, source, given({ knownWait }));
    return endingWhatThrows(machine, { transaction }, () =>
      proceed({ machine, root, transaction }, request).catch(async (error: unknown) => {
        if (isOfContents(error) && (await request.mayStillCome?.()) === true) throw asUnsettled(error);
        throw request.source.onMedium === true ? asPulled(error) : error;
      }),
    );
  });
}

/** A file that was complete when judged and is short now has gone with its medium. */
function asPulled(error: unknown): unknown {
  return error instanceof NixmakerError && error.code === 'bundle-truncated'
    ? new NixmakerError('medium-unreadable', error.detail, { cause: error })
    : error;
}

/** What becomes of contents that are not there yet, or of a need for more room than there will be. */
const ofContents: ReadonlySet<ReasonCode> = new Set([
  'bundle-altered',
  'bundle-malformed',
  'bundle-trailing-data',
]);

const isOfContents = (error: unknown): error is NixmakerError =>
  error instanceof NixmakerError && ofContents.has(error.code);

/** Full size, but not its contents: copiers that allocate first leave zeros in the parts they have not reached. */
const asUnsettled = (error: NixmakerError): NixmakerError =>
  new NixmakerError('unsettled', `${error.code}: ${error.detail}`, { cause: error });

interface Run {
  readonly machine: Machine;
  readonly root: Root;
  readonly transaction: Transaction;
}

async function proceed(run: Run, request: TakeRequest): Promise<Receipt> {
  const { machine } = run;
  await mkdir(machine.settings.runtimeDirectory, { recursive: true });
  const examined = await examine(machine, request.source);
  try {
    return await judgeAndInstall(run, {
      examined,
      operation: request.operation ?? machine.policy.operation,
      unattended: request.operation === undefined,
    });
  } finally {
    await examined.close();
  }
}

interface Work {
  readonly examined: Examined;
  readonly operation: Operation;
  readonly unattended: boolean;
}

async function judgeAndInstall(run: Run, { examined, operation, unattended }: Work): Promise<Receipt> {
  const { machine, transaction } = run;
  const { verified } = examined;
  learnManifest(transaction, verified, operation);
  transaction.learn({ bootId: machine.bootId });
  const bundleBytes = await requireWhole(examined);
  const verdict = await decideHere(machine, verified, { operation, unattended, bundleBytes });
  const wait = toStage(machine.policy, verdict, { unattended });
  const isStopped = verdict.verdict === 'refuse' || verdict.verdict === 'defer';
  if (isStopped && wait === undefined) return endAs(transaction, verdict);
  const isWanted = verdict.verdict === 'accept' || wait !== undefined;
  // Only now are the megabytes read: a refused bundle costs no more than its first kilobytes.
  const contents = isWanted ? await examined.open() : undefined;
  await transaction.advance('verified');
  if (contents === undefined) {
    return transaction.end('committed', { detail: nothingToDo(verdict) });
  }
  await transaction.advance('accepted');
  const { head, isSecret = false } = examined;
  return install(run, { verified, head, isSecret, contents, operation, unattended, wait });
}

/** While bytes are missing, nothing is decided and nobody’s file is moved away. @returns bytes of the whole */
async function requireWhole({ measure }: Examined): Promise<number> {
  const { present, expected } = await measure();
  if (present < expected) throw new NixmakerError('bundle-truncated', arrivedText(present, expected));
  return expected;
}

interface Installation {
  readonly verified: VerifiedManifest;
  readonly head: Examined['head'];
  readonly isSecret: boolean;
  readonly contents: Contents;
  readonly operation: Operation;
  readonly unattended: boolean;
  /** Why it is to be staged. */
  readonly wait: StagedWait | undefined;
}

async function install(run: Run, installation: Installation): Promise<Receipt> {
  const { machine, transaction } = run;
  const { verified, head, contents } = installation;
  const { index } = contents;
  return withRoom(run, { release: { verified, head, index }, contents }, async () => {
    const plan = await planImport(machine, { transaction, contents });
    const deleter = await openDeleter(machine).catch((error: unknown) => {
      plan.release();
      throw error;
    });
    try {
      return await installPlanned(run, installation, plan);
    } catch (error) {
      const isFull = outcomeOf(error).code === 'no-space';
      if (isFull && !hasBegunToChange(transaction.state))
        await clearBegun(machine, transaction, { index, missing: plan.missing, deleter });
      throw error;
    } finally {
      deleter.close();
    }
  });
}

async function installPlanned(run: Run, installation: Installation, plan: ImportPlan): Promise<Receipt> {
  const { machine, root, transaction } = run;
  const { verified, head, contents, operation, unattended, wait } = installation;
  const { manifest } = verified;
  let release: (() => void) | undefined;
  try {
    await transaction.record();
    if (plan.part !== undefined)
      return await takePart(
        machine,
        { transaction, verified, index: contents.index, plan: plan.part },
        async () => {
          release = await importSigned(run, installation, plan);
        },
      );
    await rootImport(withNix(machine, plan.nix), manifest);
    release = await importSigned(run, installation, plan);
    // The second time, if there was no room for what is realised.
    if (transaction.state !== 'imported') await transaction.advance('imported');
    await realiseToplevel(machine, { transaction, manifest });
    await transaction.advance('realised');
    await keepSigned(machine, installation);
    const { toplevel } = manifest;
    const signed = { verified, head, index: contents.index };
    return await root.activate({ transaction, toplevel, release: signed, operation, unattended, wait });
  } finally {
    release?.();
    plan.release();
    await dropImportRoots(machine);
  }
}

/** For `put --self`. An update does not depend on it. What may still be committed stays as well. */
async function keepSigned(
  machine: Machine,
  { verified, head, isSecret, contents }: Installation,
): Promise<void> {
  if (contents.kind !== 'bundle') return;
  const indexBytes = Buffer.from(contents.index.bytes);
  try {
    const { floor } = await readFloor(machine.floorDirectory);
    const { records } = await readJournal(machine.floorDirectory);
    const standing = [floor, findPending(records), findStaged(records)];
    await keepRelease(machine.settings.stateDirectory, {
      digest: verified.digest,
      keep: standing.flatMap((release) => release?.manifestDigest ?? []),
      release: { ...head, indexBytes, isSecret },
    });
  } catch (error) {
    machine.emit({ event: 'not-kept', level: 'warn', detail: messageOf(error) });
  }
}

/**
 * As an ordinary client of Nix, with the bundle’s signatures; if Nix trusts none of their keys, or none of them matches, with root’s as
 * well. Threat: `nix.sig` is not signed, so any carrier of a bundle can spoil it: that must not keep the release out.
 */
async function importSigned(
  { machine, root, transaction }: Run,
  { verified, head, contents }: Installation,
  plan: ImportPlan,
): Promise<() => void> {
  const { manifest } = verified;
  const vouched = () => vouchFor(root, { transaction, release: { verified, head, index: contents.index } });
  const run = (signatures?: NixSignatures) =>
    importContents(machine, { transaction, manifest, contents, plan, signatures });
  if (!(await isSignedForNix(machine, contents, plan))) return run(await vouched());
  try {
    return await run();
  } catch (error) {
    const isUntrusted = error instanceof NixmakerError && error.code === 'nix-key-untrusted';
    if (!isUntrusted || contents.kind !== 'bundle') throw error;
    return run(await vouched());
  }
}
