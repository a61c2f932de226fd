/**
 * The port to root (machine/root.ts) if root is a separate process: each request is a file in a folder that root’s units watch. What root
 * answers is root’s word; to root, what we ask could come from anybody.
 */
import { NixmakerError } from '../../core/errors.ts';
import { NixSignatures } from '../../core/release/nix-signatures.ts';
import type { ContentsRecord } from '../../core/run/damage.ts';
import { type Freed, nothingFreed } from '../../core/run/freed.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { readContentsRecord } from '../../state/contents-record.ts';
import { readRoomAnswer } from '../../state/freed.ts';
import { readReceipt } from '../../state/receipts.ts';
import { readRepairAnswer } from '../../state/repairs.ts';
import {
  activationRequests,
  keyringRequests,
  repairRequests,
  roomRequests,
  visitRequests,
  vouchRequests,
  writeRequest,
} from '../../state/requests.ts';
import { readVoucher } from '../../state/vouchers.ts';
import { keyringVersion, verifyKeyringHere } from '../machine/keyring.ts';
import type { Machine } from '../machine/machine.ts';
import type {
  AskedActivation,
  AskedKeyring,
  AskedRoom,
  AskedVoucher,
  Root,
  SignedRelease,
} from '../machine/root.ts';
import { endStoppedRuns, type StoppedRun } from '../machine/stopped-runs.ts';
import { activationDeadline, ask } from './ask.ts';
import { activateStaged, endStaged } from './ask-staged.ts';

const minutes = 60_000;
/** For several thousand paths. */
const voucherDeadline = 2 * minutes;
const keyringDeadline = 1 * minutes;
/** What is exchanged is read twice by root. */
const repairDeadline = 60 * minutes;

export function rootByRequest(machine: Machine): Root {
  return {
    activate: (asked) => activate(machine, asked),
    vouch: (asked) => vouch(machine, asked),
    makeRoom: (asked) => makeRoom(machine, asked),
    repair: () => repair(machine),
    acceptKeyring: (asked) => acceptKeyring(machine, asked),
    endVisit: (visit) => writeRequest(machine.settings.runtimeDirectory, visitRequests, visit),
    activateStaged: () => activateStaged(machine),
    resume: async () => [...(await endStoppedRuns(machine, giveUp)), ...(await endStaged(machine))],
  };
}

async function activate(
  machine: Pick<Machine, 'clock' | 'policy' | 'settings'>,
  { transaction, release, operation }: AskedActivation,
): Promise<Receipt> {
  if (release === undefined) throw new NixmakerError('usage', 'only root can take an unsigned bundle');
  const own = machine.policy.operation;
  if (operation !== own)
    throw new NixmakerError(
      'operation-forbidden',
      `${operation} was requested, but without root the policy’s operation is used: ${own}`,
    );
  const { activationDirectory } = machine.settings;
  const answer = await ask(machine, {
    kind: activationRequests,
    request: {
      schema: 2,
      transaction: transaction.id,
      source: transaction.source,
    },
    attachments: attachmentsOf(release),
    answer: () => readReceipt(activationDirectory, transaction.id),
    deadline: activationDeadline,
    onAsked: () => transaction.emit('handed-over'),
  });
  const { schema: _schema, transaction: _id, at: _at, source: _source, state, ...known } = answer;
  transaction.learn(known);
  return transaction.end(state, {});
}

/** From `profile-set` on, a run is root’s and is in root’s journal: one in ours was begun by another role on this machine. */
async function giveUp({ transaction, stopped }: StoppedRun): Promise<Receipt> {
  if (transaction.state !== 'rolling-back') await transaction.advance('rolling-back');
  const detail = `${stopped.detail}; only root can restore the previous system`;
  return transaction.end('failed', { code: 'rollback-failed', detail });
}

async function vouch(
  machine: Pick<Machine, 'clock' | 'settings'>,
  { transaction, release }: AskedVoucher,
): Promise<NixSignatures> {
  const { activationDirectory } = machine.settings;
  const voucher = await ask(machine, {
    kind: vouchRequests,
    request: { schema: 2, transaction: transaction.id },
    attachments: attachmentsOf(release),
    answer: () => readVoucher(activationDirectory, transaction.id),
    deadline: voucherDeadline,
  });
  if ('refusal' in voucher)
    throw new NixmakerError(
      voucher.refusal.code,
      `root does not vouch for its paths: ${voucher.refusal.detail}`,
    );
  return NixSignatures.parse(voucher.signatures, release.index);
}

async function makeRoom(
  machine: Pick<Machine, 'clock' | 'settings'>,
  { transaction, release }: AskedRoom,
): Promise<Freed> {
  const { activationDirectory } = machine.settings;
  const answer = await ask(machine, {
    kind: roomRequests,
    request: { schema: 2, transaction: transaction.id },
    attachments: attachmentsOf(release),
    answer: () => readRoomAnswer(activationDirectory, transaction.id),
    deadline: activationDeadline,
    isAnsweredFirst: true,
  });
  return 'refusal' in answer ? { ...nothingFreed, unfinished: answer.refusal } : answer.freed;
}

async function repair(
  machine: Pick<Machine, 'clock' | 'floorDirectory' | 'randomHex' | 'settings'>,
): Promise<ContentsRecord> {
  const { activationDirectory } = machine.settings;
  const transaction = machine.randomHex(6);
  const { refusal } = await ask(machine, {
    kind: repairRequests,
    request: { schema: 2, transaction },
    answer: () => readRepairAnswer(activationDirectory, transaction),
    deadline: repairDeadline,
    isAnsweredFirst: true,
  });
  if (refusal !== undefined)
    throw new NixmakerError('operation-forbidden', `root does not repair: ${refusal}`);
  return readContentsRecord(machine.floorDirectory);
}

/** The exact bytes that were verified, for root to verify again. */
const attachmentsOf = ({ head, index }: SignedRelease) => ({
  manifest: head.manifestBytes,
  signatures: head.signatureBytes,
  index: Buffer.from(index.bytes.buffer, index.bytes.byteOffset, index.bytes.length),
});

/** Verified here first, so that a fault is reported with its location. */
async function acceptKeyring(machine: Machine, { envelope, version, source }: AskedKeyring): Promise<void> {
  await verifyKeyringHere(machine, envelope);
  await ask(machine, {
    kind: keyringRequests,
    request: { schema: 1, transaction: machine.randomHex(6), envelope },
    answer: async () => {
      await machine.reloadKeyring();
      return keyringVersion(machine) >= version ? version : undefined;
    },
    deadline: keyringDeadline,
  });
  machine.emit({ event: 'keyring-accepted', level: 'warn', version, source });
}
