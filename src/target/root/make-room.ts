/**
 * Makes room for a release when the agent finds too little: old generations and garbage, as far as root’s own policy lets them go.
 *
 * Threat: a compromised agent. It can say neither what is deleted nor how much: root verifies the release, decides on it as it would for an
 * activation, and works out for itself what is not in the store yet.
 */
import { NixmakerError } from '../../core/errors.ts';
import type { Freed } from '../../core/run/freed.ts';
import { type RoomAnswer, writeRoomAnswer } from '../../state/freed.ts';
import { type Attachments, roomRequests } from '../../state/requests.ts';
import { makeRoomFor } from '../activate/store-room.ts';
import { byRun } from '../machine/by-run.ts';
import type { RootMachine } from '../machine/machine.ts';
import type { AskedRoom } from '../machine/root.ts';
import { serveAll, tellRejected } from './serve-requests.ts';
import { giveWay } from './settle-staged.ts';
import { readRequestedIndex, requireWanted, verifyRequested } from './verify.ts';

/** @throws NixmakerError `operation-forbidden` if the policy never lets anything be deleted */
export async function makeRoom(
  machine: RootMachine,
  {
    transaction,
    release,
  }: Pick<AskedRoom, 'transaction'> & { readonly release: Pick<AskedRoom['release'], 'index'> },
): Promise<Freed> {
  requireAllowed(machine);
  return makeRoomFor(machine, transaction, { index: release.index, giveWay: () => giveWay(machine) });
}

function requireAllowed({ policy }: Pick<RootMachine, 'policy'>): void {
  if (policy.collect === 'never')
    throw new NixmakerError('operation-forbidden', 'the policy has `collect: never`');
}

/** Serves the agent’s requests. Each stays until it is answered: if we are killed in between, it is served again. */
export function serveRooms(machine: RootMachine): Promise<void> {
  return serveAll(machine, roomRequests, async ({ transaction }, { acknowledge, attached }) => {
    try {
      const answer = await answerTo(machine, transaction, attached);
      if ('refusal' in answer) tellRejected(machine, 'room', answer.refusal);
      await writeRoomAnswer(machine.settings.activationDirectory, transaction, answer);
    } finally {
      await acknowledge();
    }
  });
}

async function answerTo(machine: RootMachine, id: string, attached: Attachments): Promise<RoomAnswer> {
  try {
    requireAllowed(machine);
    const verified = await verifyRequested(machine, attached);
    const { verdict } = await requireWanted(machine, verified);
    if (verdict !== 'accept' && verdict !== 'defer')
      return { refusal: `it is already ${verdict === 'already-staged' ? 'staged' : 'installed'}` };
    const index = await readRequestedIndex(verified, attached);
    const coming = { index, giveWay: () => giveWay(machine) };
    return { freed: await makeRoomFor(machine, byRun(machine, id), coming) };
  } catch (error) {
    if (!(error instanceof NixmakerError)) throw error;
    return { refusal: `${error.code}: ${error.detail}` };
  }
}
