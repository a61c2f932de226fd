/** The agent: watches the inbox and takes what comes, one bundle at a time, for as long as it is told to. */
import { mkdir } from 'node:fs/promises';
import { catalogue, isPassing, worstExit } from '../../core/catalogue.ts';
import { type ExitCode, exitCodes, messageOf, NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { exitOf, type Receipt, receiptText } from '../../core/run/receipt.ts';
import { archive } from '../../media/archive.ts';
import { type Candidate, doneFolder, refusedFolder } from '../../media/inbox.ts';
import { watchCarrier, watchInbox } from '../../media/watch-inbox.ts';
import { watchMounts } from '../../media/watch-mounts.ts';
import type { Machine } from '../machine/machine.ts';
import { mediaRoots } from '../machine/places.ts';
import type { Root } from '../machine/root.ts';
import { withLock } from '../machine/with-lock.ts';
import { MediaTaker } from '../media/taker.ts';
import { sourceOf } from '../update/open.ts';
import { takeBundle } from '../update/take.ts';
import { Endings } from './endings.ts';
import { InboxQueue, type Look } from './inbox-queue.ts';
import { KeyringQueue } from './keyrings.ts';
import { writeMetrics } from './metrics.ts';
import { enterService } from './notify.ts';

/** Events can be lost (inotify overflows); this is the backstop. Milliseconds. */
const slowRescan = 60_000;
/** A copy in progress is a storm of events; this is how long one look lasts. */
const calm = 100;

/** Takes what is there, waits for nothing, and returns the gravest result. */
export async function runOnce(
  machine: Machine,
  root: Root,
  onReceipt: (receipt: Receipt) => void,
): Promise<ExitCode> {
  await mkdir(machine.settings.inbox, { recursive: true });
  // Runs that were only forgotten say nothing: their bundle, if it is still there, is taken now.
  const resumed = (await withLock(machine, () => root.resume())).filter((r) => r.state !== 'deferred');
  for (const receipt of resumed) onReceipt(receipt);
  const exits: ExitCode[] = resumed.map(exitOf);
  await new KeyringQueue(machine, root).acceptAll();
  const queue = new InboxQueue(machine);
  // A bad file is only believed at rest, and rest takes a moment to observe.
  if ((await queue.look()).length > 0) await machine.clock.sleep(machine.settings.inboxRest * 1000);
  for (const look of await queue.look()) {
    if (look.action === 'wait') {
      announceWait(machine, look);
      exits.push(exitCodes.deferred);
      continue;
    }
    exits.push(await takeCandidate(machine, { root, queue, candidate: look.candidate, onReceipt }));
  }
  const media = new MediaTaker(machine, root, onReceipt);
  for (let exit = await media.takeNext(); exit !== undefined; exit = await media.takeNext()) exits.push(exit);
  return worstExit(exits);
}

/** Runs until the signal; between bundles it sleeps until something changes. */
export async function runAgent(machine: Machine, root: Root, signal: AbortSignal): Promise<void> {
  const service = await enterService(machine);
  await mkdir(machine.settings.inbox, { recursive: true });
  await withLock(machine, () => root.resume()).catch(logOutcome(machine));
  const endings = new Endings(machine, service);
  const wake = new Wake(machine);
  const watches = [await watchInbox(machine.settings.inbox, () => wake.now())];
  if (mediaRoots(machine).length > 0) watches.push(watchMounts(machine, () => wake.now()));
  for (const folder of machine.policy.media.folders)
    watches.push(await watchCarrier(folder, machine.policy.host, () => wake.now()));
  const stop = () => wake.now();
  signal.addEventListener('abort', stop);
  await service.status(`Watching ${machine.settings.inbox}`);
  machine.emit({ event: 'agent-ready', inbox: machine.settings.inbox, host: machine.policy.host });
  const keyrings = new KeyringQueue(machine, root);
  const queue = new InboxQueue(machine);
  const onReceipt = (receipt: Receipt) => endings.tell(receipt);
  const media = new MediaTaker(machine, root, onReceipt);
  const waiting = new Set<string>();
  try {
    while (!signal.aborted) {
      wake.reset();
      const wait = await rescan(machine, { root, keyrings, queue, media, waiting, signal, onReceipt });
      await writeMetrics(machine);
      await wake.within(wait);
      if (!signal.aborted) await machine.clock.sleep(calm);
    }
  } finally {
    signal.removeEventListener('abort', stop);
    for (const watch of watches) await watch.close();
    await endings.told();
    service.close();
    machine.emit({ event: 'agent-stopped' });
  }
}

interface Scan {
  readonly root: Root;
  readonly keyrings: KeyringQueue;
  readonly queue: InboxQueue;
  readonly media: MediaTaker;
  readonly waiting: Set<string>;
  readonly signal: AbortSignal;
  readonly onReceipt: (receipt: Receipt) => void;
}

/** Takes all that is ready. @returns after how many milliseconds to look again even if nothing changes */
async function rescan(
  machine: Machine,
  { root, keyrings, queue, media, waiting, signal, onReceipt }: Scan,
): Promise<number> {
  let wait = slowRescan;
  try {
    // Before the bundles, which may be signed by new keys.
    await keyrings.acceptAll((id) => media.isSilent(id));
    for (const look of await queue.look()) {
      if (signal.aborted) break;
      const { path } = look.candidate;
      if (look.action === 'wait') {
        wait = Math.min(wait, look.again);
        if (!waiting.has(path) && look.reason === 'incomplete') announceWait(machine, look);
        waiting.add(path);
      } else {
        waiting.delete(path);
        await takeCandidate(machine, { root, queue, candidate: look.candidate, onReceipt });
        // What was deferred has a time of its own, which the next look tells.
        wait = 0;
      }
    }
    if (!signal.aborted && (await media.takeNext()) !== undefined) wait = 0;
    wait = Math.min(wait, media.due() ?? wait);
  } catch (error) {
    // The agent outlives whatever one inbox or one medium can do to it.
    machine.emit({ event: 'fault', level: 'error', detail: messageOf(error) });
  }
  return wait;
}

/** The same is tried again before the next bundle is taken, so a fault here must not keep the agent from starting. */
function logOutcome(machine: Pick<Machine, 'emit'>): (error: unknown) => void {
  return (error) => machine.emit({ event: 'resume-failed', level: 'error', detail: messageOf(error) });
}

function announceWait(machine: Pick<Machine, 'emit'>, look: Extract<Look, { action: 'wait' }>): void {
  const { candidate, present: bytes, expected } = look;
  machine.emit(given({ event: 'waiting', code: 'incomplete', source: candidate.path, bytes, expected }));
}

interface Taking {
  readonly root: Root;
  readonly queue: InboxQueue;
  readonly candidate: Candidate;
  readonly onReceipt?: (receipt: Receipt) => void;
}

/** Takes one bundle and clears it away, or leaves it for later. Whatever one bundle does, the next one gets its turn. */
async function takeCandidate(machine: Machine, taking: Taking): Promise<ExitCode> {
  const { root, queue, candidate, onReceipt } = taking;
  try {
    const receipt = await takeBundle(machine, root, { name: candidate.path, source: sourceOf(candidate) });
    onReceipt?.(receipt);
    const exit = exitOf(receipt);
    // A rollback for want of room, too: the bundle is not at fault.
    if (receipt.state === 'deferred' || (receipt.state === 'rolled-back' && isPassing(exit))) {
      await queue.defer(candidate);
      return exit;
    }
    if (exit === exitCodes.badBundle && (await queue.hasChanged(candidate))) {
      machine.emit({ event: 'waiting', code: 'unsettled', source: candidate.path });
      return exitCodes.deferred;
    }
    await clearAway(machine, taking, receipt);
    return exit;
  } catch (error) {
    await queue.defer(candidate);
    if (!(error instanceof NixmakerError)) {
      machine.emit({ event: 'fault', level: 'error', detail: messageOf(error), source: candidate.path });
      return exitCodes.fault;
    }
    machine.emit({ event: 'waiting', code: error.code, detail: error.detail, source: candidate.path });
    return catalogue[error.code].exit;
  }
}

async function clearAway(
  machine: Pick<Machine, 'emit' | 'policy' | 'settings'>,
  { queue, candidate }: Taking,
  receipt: Receipt,
): Promise<void> {
  const isDone = exitOf(receipt) === exitCodes.done;
  const { retention } = machine.policy;
  try {
    const archived = await archive(candidate, {
      inbox: machine.settings.inbox,
      folder: isDone ? doneFolder : refusedFolder,
      keep: isDone ? retention.done : retention.refused,
      report: receiptText(receipt),
    });
    machine.emit({ event: 'settled', transaction: receipt.transaction, ...archived });
  } catch (error) {
    // A read-only or foreign inbox: the bundle stays, and is not taken again until it changes.
    machine.emit({
      event: 'settle-failed',
      level: 'warn',
      transaction: receipt.transaction,
      detail: messageOf(error),
    });
    await queue.markStuck(candidate);
  }
}

/** Sleep that a hint ends. A hint that came while we were busy ends the next sleep at once. */
class Wake {
  readonly #machine: Machine;
  #hinted = false;
  #abort = new AbortController();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  now(): void {
    this.#hinted = true;
    this.#abort.abort();
  }

  reset(): void {
    this.#hinted = false;
    this.#abort = new AbortController();
  }

  async within(milliseconds: number): Promise<void> {
    if (!this.#hinted) await this.#machine.clock.sleep(milliseconds, this.#abort.signal).catch(ignoreAbort);
  }
}

function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error && error.name === 'AbortError')) throw error;
}
