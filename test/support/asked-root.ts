/** Genuine, signed requests to root’s side in memory (root-machine.ts), for a store that has all that they are about. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { decodeNix32 } from '../../src/core/nix32.ts';
import type { CommandResult } from '../../src/core/ports.ts';
import type { Receipt } from '../../src/core/run/receipt.ts';
import { type RoomAnswer, readRoomAnswer } from '../../src/state/freed.ts';
import { readReceipt } from '../../src/state/receipts.ts';
import {
  activationRequests,
  roomRequests,
  stagedRequests,
  vouchRequests,
  writeRequest,
} from '../../src/state/requests.ts';
import { readVoucher, type Voucher } from '../../src/state/vouchers.ts';
import type { RootMachine } from '../../src/target/machine/machine.ts';
import { serveActivations } from '../../src/target/root/activation.ts';
import { serveRooms } from '../../src/target/root/make-room.ts';
import { serveStaged } from '../../src/target/root/staged.ts';
import { serveVouchers } from '../../src/target/root/vouch.ts';
import type { TestRelease } from './bundles.ts';
import { type InMemory, type Making, rootInMemory } from './root-machine.ts';

export const requestId = (n: number) => String(n).padStart(12, '0');

/** Nix has every path of the release, as it was signed. */
export function storeWith({ release: { index } }: TestRelease) {
  const lines = Array.from({ length: index.length }, (_, line) => index.info(line));
  const infos = lines.map(({ path, narHash, narSize, references }) => {
    const hash = decodeNix32(narHash.slice('sha256:'.length), 32) ?? new Uint8Array();
    return [
      path,
      { narHash: `sha256-${Buffer.from(hash).toString('base64')}`, narSize, references },
    ] as const;
  });
  return (argv: readonly string[]): Partial<CommandResult> | undefined => {
    if (argv.includes('system')) return { stdout: 'x86_64-linux\n' };
    if (!argv.includes('path-info')) return undefined;
    return { stdout: JSON.stringify(Object.fromEntries(infos.filter(([path]) => argv.includes(path)))) };
  };
}

export interface AskedRoot extends InMemory {
  readonly activate: (release: TestRelease, n: number) => Promise<Receipt | undefined>;
  readonly vouch: (release: TestRelease, n: number) => Promise<Voucher | undefined>;
  readonly makeRoom: (release: TestRelease, n: number) => Promise<RoomAnswer | undefined>;
  /** The agent thinks that what is staged may be due. */
  readonly lookAtStaged: (n: number) => Promise<void>;
}

export async function askedRoot(t: TestContext, store: TestRelease, making: Making = {}): Promise<AskedRoot> {
  const known = storeWith(store);
  const made = await rootInMemory(t, {
    ...making,
    answer: (argv) => making.answer?.(argv) ?? known(argv),
  });
  const { machine } = made;
  for (const { folder } of [activationRequests, vouchRequests, roomRequests, stagedRequests])
    await mkdir(join(machine.requestsDirectory, folder));
  return {
    ...made,
    activate: async (release, n) => {
      await askForActivation(machine, release, n);
      await serveActivations(machine);
      return readReceipt(machine.settings.stateDirectory, requestId(n));
    },
    vouch: async (release, n) => {
      await askForVoucher(machine, release, n);
      await serveVouchers(machine);
      return readVoucher(machine.settings.activationDirectory, requestId(n));
    },
    makeRoom: async (release, n) => {
      await askForRoom(machine, release, n);
      await serveRooms(machine);
      return readRoomAnswer(machine.settings.activationDirectory, requestId(n));
    },
    lookAtStaged: async (n) => {
      const request = { schema: 2, transaction: requestId(n) } as const;
      await writeRequest(machine.requestsDirectory, stagedRequests, request);
      await serveStaged(machine);
    },
  };
}

export const askForActivation = (machine: RootMachine, release: TestRelease, n: number): Promise<void> =>
  writeRequest(
    machine.requestsDirectory,
    activationRequests,
    { schema: 2, transaction: requestId(n), source: 'web.tar' },
    attachmentsOf(release),
  );

export const askForVoucher = (machine: RootMachine, release: TestRelease, n: number): Promise<void> =>
  writeRequest(
    machine.requestsDirectory,
    vouchRequests,
    { schema: 2, transaction: requestId(n) },
    attachmentsOf(release),
  );

export const askForRoom = (machine: RootMachine, release: TestRelease, n: number): Promise<void> =>
  writeRequest(
    machine.requestsDirectory,
    roomRequests,
    { schema: 2, transaction: requestId(n) },
    attachmentsOf(release),
  );

const attachmentsOf = ({ manifestBytes, signatureBytes, release }: TestRelease) => ({
  manifest: manifestBytes,
  signatures: signatureBytes,
  index: Buffer.from(release.index.bytes),
});
