/** The agent: watches the inbox and takes what arrives, one bundle at a time, for as long as it is told to. */
import { mkdir } from 'node:fs/promises';
import { worstExit } from '../../core/catalogue.ts';
import { type ExitCode, exitCodes, messageOf } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { isKeyringName } from '../../core/policy/keyring.ts';
import { exitOf, type Receipt } from '../../core/run/receipt.ts';
import { arrivedText } from '../../core/size.ts';
import { watchCarrier, watchInbox } from '../../media/watch-inbox.ts';
import { watchMounts } from '../../media/watch-mounts.ts';
import type { Machine } from '../machine/machine.ts';
import { carriersFolders, mediaRoots } from '../machine/places.ts';
import type { Root } from '../machine/root.ts';
import { withLock } from '../machine/with-lock.ts';
import { MediaTaker } from '../media/taker.ts';
import { InHand } from '../update/in-hand.ts';
import { Endings } from './endings.ts';
import { InboxQueue, type Look } from './inbox-queue.ts';
import { KeyringQueue } from './keyrings.ts';
import { writeMetrics } from './metrics.ts';
import { enterService } from './notify.ts';
import { Repairs } from './repairs.ts';
import { StagedTaker } from './staged-taker.ts';
import { Successor } from './successor.ts';
import { takeCandidate } from './take-candidate.ts';
import { WaitsRecord } from './waits-record.ts';

/** Milliseconds. Events can be lost (inotify overflows); this is the backstop. */
const slowRescan = 60_000;
/** Milliseconds spent refusing files before the inbox is looked at again. */
const mostRefusing = 1000;
/** Waiting files that are reported. */
const mostWaiting = 1000;
/** A copy in progress is a storm of events; one look lasts this long. */
const calm = 100;

/** Takes what is there, waits for nothing, and returns the gravest result. */
export async function runOnce(
  machine: Machine,
  root: Root,
  onReceipt: (receipt: Receipt) => void,
): Promise<ExitCode> {
  await makeInbox(machine);
  // Runs that were merely dropped report nothing: their bundle, if it is still there, is taken now.
  const resumed = (await withLock(machine, () => root.resume())).filter((r) => r.state !== 'deferred');
  for (const receipt of resumed) onReceipt(receipt);
  const exits: ExitCode[] = resumed.map(exitOf);
  const staged = new StagedTaker(machine, { root, onReceipt });
  const stagedBefore = await staged.present();
  const keyrings = new KeyringQueue(machine, root);
  do await keyrings.acceptAll();
  while (keyrings.hasMore);
  await new Repairs(machine, root).run();
  const inHand = await InHand.open(machine);
  const queue = new InboxQueue(machine, inHand);
  // A bad file is judged only at rest, and rest takes a moment to observe.
  if ((await lookAtAll(queue)).length > 0) await machine.clock.sleep(machine.settings.inboxRest * 1000);
  for (const look of await lookAtAll(queue)) {
    if (look.action === 'wait') {
      announceWait(machine, look);
      exits.push(exitCodes.deferred);
      continue;
    }
    exits.push(await takeCandidate(machine, { root, queue, inHand, look, onReceipt }));
  }
  const others = () => [...keyrings.waits(), ...queue.waits()];
  const media = new MediaTaker(machine, { root, inHand, onReceipt, others });
  for (let exit = await media.takeNext(); exit !== undefined; exit = await media.takeNext()) exits.push(exit);
  // Last: whatever is newer has taken its place. What was staged just now has just been looked at.
  if (stagedBefore !== undefined && (await staged.present()) === stagedBefore)
    exits.push((await staged.take()) ?? exitCodes.done);
  await new WaitsRecord(machine).write([keyrings, queue, media]);
  // What no run was begun for: a person who waits for the exit code must not take it for done.
  if (media.isWaiting) exits.push(exitCodes.deferred);
  return worstExit(exits);
}

/** Files to be refused come last. */
async function lookAtAll(queue: InboxQueue): Promise<Look[]> {
  const looks: Look[] = [];
  do for await (const look of queue.look()) looks.push(look);
  while (queue.hasMore);
  const isToRefuse = (look: Look) =>
    Number(look.action === 'set-aside' || (look.action === 'take' && !look.isGood));
  return looks.toSorted((a, b) => isToRefuse(a) - isToRefuse(b));
}

/** Runs until the signal, or until another nixmaker is to take over; between bundles it sleeps until something changes. */
export async function runAgent(machine: Machine, root: Root, signal: AbortSignal): Promise<void> {
  const service = await enterService(machine);
  const successor = await Successor.open(machine);
  await makeInbox(machine);
  await withLock(machine, () => root.resume()).catch(logOutcome(machine));
  const endings = new Endings(machine, service);
  const wake = new Wake(machine);
  const inHand = await InHand.open(machine);
  const queue = new InboxQueue(machine, inHand);
  const keyrings = new KeyringQueue(machine, root);
  const onInbox = (path?: string) => {
    if (path !== undefined) queue.hint(path);
    if (path === undefined || isKeyringName(path)) keyrings.hint();
    wake.now();
  };
  const watches = [await watchInbox(machine.settings.inbox, onInbox)];
  if (mediaRoots(machine).length > 0) watches.push(watchMounts(machine, () => wake.now()));
  for (const folder of carriersFolders(machine))
    watches.push(watchCarrier(folder, machine.policy.host, () => wake.now()));
  const stop = () => wake.now();
  signal.addEventListener('abort', stop);
  await service.status(`Watching ${machine.settings.inbox}`);
  machine.emit({ event: 'agent-ready', inbox: machine.settings.inbox, host: machine.policy.host });
  const onReceipt = (receipt: Receipt) => {
    endings.tell(receipt);
    successor.hint();
  };
  const others = () => [...keyrings.waits(), ...queue.waits()];
  const onAnswer = () => wake.now();
  const media = new MediaTaker(machine, { root, inHand, onReceipt, onAnswer, others });
  const repairs = new Repairs(machine, root);
  const onLost = () => media.retryStaged();
  const staged = new StagedTaker(machine, { root, onReceipt, onLost });
  const record = new WaitsRecord(machine);
  const waiting = new Set<string>();
  try {
    while (!signal.aborted) {
      wake.reset();
      // Before the visit of a medium ends, after which it may be pulled out.
      await repairs.run();
      const wait = await rescan(machine, {
        root,
        keyrings,
        queue,
        inHand,
        media,
        staged,
        waiting,
        signal,
        onReceipt,
      });
      await record.write([keyrings, queue, media]);
      await writeMetrics(machine);
      if (wait > 0 && (await successor.isDue().catch(logFault(machine)))) break;
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

/** If it can’t be created or reached (a dead mount), media are not held up; it is reported when it is looked at. */
async function makeInbox({ settings, emit }: Pick<Machine, 'emit' | 'settings'>): Promise<void> {
  await mkdir(settings.inbox, { recursive: true }).catch((error: unknown) =>
    emit({ event: 'fault', level: 'error', source: settings.inbox, detail: messageOf(error) }),
  );
}

interface Scan {
  readonly root: Root;
  readonly keyrings: KeyringQueue;
  readonly queue: InboxQueue;
  readonly inHand: InHand;
  readonly media: MediaTaker;
  readonly staged: StagedTaker;
  readonly waiting: Set<string>;
  readonly signal: AbortSignal;
  readonly onReceipt: (receipt: Receipt) => void;
}

/** Takes everything that is ready. @returns milliseconds until the next look, even if nothing changes */
async function rescan(machine: Machine, scan: Scan): Promise<number> {
  const { keyrings, queue, media, staged, signal } = scan;
  let wait = slowRescan;
  try {
    // Keyrings come before bundles, which may be signed by new keys.
    await keyrings.acceptAll({ isSilent: (id) => media.isSilent(id), isInboxDue: !queue.hasMore });
    wait = await takeFromInbox(machine, scan);
    if (queue.hasMore || keyrings.hasMore) wait = 0;
    if (!signal.aborted && (await media.takeNext()) !== undefined) wait = 0;
    if (!signal.aborted && (await staged.takeNext({ isBusy: wait === 0 })) !== undefined) wait = 0;
    wait = Math.min(wait, media.due() ?? wait, staged.due() ?? wait);
  } catch (error) {
    // The agent outlives whatever an inbox or a medium can do to it.
    logFault(machine)(error);
  }
  return wait;
}

function logFault(machine: Pick<Machine, 'emit'>): (error: unknown) => false {
  return (error) => {
    machine.emit({ event: 'fault', level: 'error', detail: messageOf(error) });
    return false;
  };
}

/** Good files at once, then, for a moment, those to be refused: a good one may have arrived by then. */
async function takeFromInbox(machine: Machine, scan: Scan): Promise<number> {
  const { queue, waiting, signal } = scan;
  let wait = slowRescan;
  const others: Exclude<Look, { action: 'wait' }>[] = [];
  for await (const look of queue.look()) {
    if (signal.aborted) return wait;
    const { path } = look.candidate;
    if (look.action === 'wait') {
      wait = Math.min(wait, look.again);
      if (look.reason === 'incomplete' && isNews(scan, path)) announceWait(machine, look);
    } else if (look.action === 'take' && look.isGood) {
      waiting.delete(path);
      await takeCandidate(machine, { ...scan, look });
      // What was deferred has its own due time, which the next look provides.
      wait = 0;
    } else others.push(look);
  }
  const until = machine.clock.monotonic() + mostRefusing;
  for (const look of others) {
    if (signal.aborted) break;
    waiting.delete(look.candidate.path);
    await takeCandidate(machine, { ...scan, look });
    wait = 0;
    if (machine.clock.monotonic() > until) break;
  }
  return wait;
}

/** Once for each file; never for those beyond a thousand at a time. */
function isNews({ queue, waiting }: Pick<Scan, 'queue' | 'waiting'>, path: string): boolean {
  if (waiting.size >= mostWaiting)
    for (const known of waiting) if (!queue.knows(known)) waiting.delete(known);
  if (waiting.has(path) || waiting.size >= mostWaiting) return false;
  waiting.add(path);
  return true;
}

/** Tried again before the next bundle is taken, so a fault here must not keep the agent from starting. */
function logOutcome(machine: Pick<Machine, 'emit'>): (error: unknown) => void {
  return (error) => machine.emit({ event: 'resume-failed', level: 'error', detail: messageOf(error) });
}

function announceWait(machine: Pick<Machine, 'emit'>, look: Extract<Look, { action: 'wait' }>): void {
  const { candidate, present: bytes, expected } = look;
  const { path: source, misnamed } = candidate;
  const event = 'waiting';
  const detail = misnamed ?? arrivedText(bytes, expected);
  if (misnamed !== undefined) machine.emit({ event, level: 'warn', code: 'misnamed', detail, source });
  else machine.emit(given({ event, code: 'incomplete', detail, source, bytes, expected }));
}

/** A sleep that a hint ends. A hint that came while we were busy ends the next sleep at once. */
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
