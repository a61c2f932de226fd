/** One file of the inbox, taken to its end and cleared away. */
import { hasHole } from '../../bundle/hole.ts';
import { catalogue, isPassing, worstExit } from '../../core/catalogue.ts';
import { hasErrno } from '../../core/errno.ts';
import { type ExitCode, exitCodes, messageOf, NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { outcomeOf } from '../../core/outcome.ts';
import { exitOf, type Receipt, receiptText } from '../../core/run/receipt.ts';
import { archive } from '../../media/archive.ts';
import { type Candidate, doneFolder, refusedFolder } from '../../media/inbox.ts';
import type { Machine } from '../machine/machine.ts';
import type { Root } from '../machine/root.ts';
import { type InHand, setAside } from '../update/in-hand.ts';
import { accessTo, fileWithDeadline } from '../update/medium-access.ts';
import { sourceOf } from '../update/open.ts';
import { takeBundle } from '../update/take.ts';
import type { InboxQueue, Look } from './inbox-queue.ts';

interface Taking {
  readonly root: Root;
  readonly queue: InboxQueue;
  readonly inHand: InHand;
  readonly look: Exclude<Look, { action: 'wait' }>;
  readonly onReceipt?: (receipt: Receipt) => void;
}

/** Takes one bundle and clears it away, or leaves it for later. Whatever one bundle does, the next one gets its turn. */
export async function takeCandidate(machine: Machine, taking: Taking): Promise<ExitCode> {
  const { queue, look, onReceipt } = taking;
  const { candidate } = look;
  try {
    // While another was taken: nobody has looked at this one.
    if (await queue.hasChanged(look)) return leave(machine, candidate, exitCodes.done);
    const receipt = await endOf(machine, taking);
    onReceipt?.(receipt);
    const exit = exitOf(receipt);
    // So too a rollback for want of room: the bundle is not at fault.
    if (receipt.state === 'deferred' || (receipt.state === 'rolled-back' && isPassing(exit))) {
      await queue.defer(look, { code: receipt.code ?? 'interrupted', detail: receipt.detail });
      return exit;
    }
    queue.done(candidate);
    return (await clearAway(machine, taking, receipt)) ? exit : leave(machine, candidate, exit);
  } catch (error) {
    const { code, detail } = outcomeOf(error);
    // What it already waited for is no news.
    const level = queue.knownWait(candidate) === code ? 'debug' : 'info';
    await queue.defer(look, { code, detail });
    if (!(error instanceof NixmakerError)) {
      machine.emit({ event: 'fault', level: 'error', detail: messageOf(error), source: candidate.path });
      return exitCodes.fault;
    }
    machine.emit({ event: 'waiting', level, code, detail, source: candidate.path });
    return catalogue[error.code].exit;
  }
}

function endOf(machine: Machine, { root, inHand, look, queue }: Taking): Promise<Receipt> {
  const { candidate } = look;
  if (look.action === 'set-aside') return setAside(machine, candidate, { code: look.code, detail: look.why });
  // A flipped bit leaves no zeros: that bundle is reported at once.
  const access = accessTo(machine, candidate);
  const mayStillCome = async () =>
    look.isGood &&
    !queue.hasRested(candidate) &&
    (await hasHole(candidate.path, 'whole', (file) => fileWithDeadline(file, access)));
  const knownWait = queue.knownWait(candidate);
  const request = {
    name: candidate.path,
    source: sourceOf(candidate),
    mayStillCome,
    ...given({ knownWait }),
  };
  return inHand.taking(candidate, () => takeBundle(machine, root, request));
}

/** @returns whether the file is dealt with; false if another has taken its place, which is left where it is */
async function clearAway(machine: Machine, { queue, look }: Taking, receipt: Receipt): Promise<boolean> {
  const { candidate } = look;
  const { transaction } = receipt;
  const isDone = exitOf(receipt) === exitCodes.done;
  const { retention } = machine.policy;
  try {
    const archived = await accessTo(machine, candidate).withDeadline(() =>
      archive(candidate, {
        inbox: machine.settings.inbox,
        folder: isDone ? doneFolder : refusedFolder,
        keep: isDone ? retention.done : retention.refused,
        report: receiptText(receipt),
        isStillIt: async () => !(await queue.hasChanged(look)),
      }),
    );
    if (archived === undefined) return false;
    machine.emit({ event: 'settled', transaction, ...archived });
  } catch (error) {
    const detail = messageOf(error);
    // A read-only or foreign inbox: the bundle stays, and is not taken again until it changes.
    machine.emit({ event: 'settle-failed', level: 'warn', transaction, detail });
    await queue.markStuck(look, detail);
    // Bad and gone: whoever was writing it will bring it again.
    if (hasErrno(error, 'ENOENT') && exitOf(receipt) === exitCodes.badBundle) return false;
  }
  return true;
}

/** @param exit how the one before has ended: if it was bad, it may only have been half of this one */
function leave({ emit }: Pick<Machine, 'emit'>, { path }: Candidate, exit: ExitCode): ExitCode {
  const detail = 'it changed after it was looked at';
  emit({ event: 'waiting', code: 'unsettled', detail, source: path });
  return exit === exitCodes.badBundle ? exitCodes.deferred : worstExit([exit, exitCodes.deferred]);
}
