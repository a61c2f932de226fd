/**
 * durable-writes.ts FOLDER: everything that is to be on disk when it returns, once or as often as it differs, each after a mark of its
 * own. Run under strace(1) by test/state/flushes.test.ts, which has what each of them leaves.
 */
import { lstatSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encryptFile, generateIdentity, recipientOf } from '../../src/bundle/encrypted.ts';
import { limits } from '../../src/core/limits.ts';
import { nothingRead } from '../../src/core/run/damage.ts';
import { nothingFreed } from '../../src/core/run/freed.ts';
import { makeKeyFiles } from '../../src/desk/keys/key-files.ts';
import { deliver } from '../../src/media/deliver.ts';
import { writeAfterHook } from '../../src/state/after-hook.ts';
import { writeContentsRecord } from '../../src/state/contents-record.ts';
import { writeDurably } from '../../src/state/durable.ts';
import { raiseFloor, setSignedTime } from '../../src/state/floor.ts';
import { writeRoomAnswer, writeTidied } from '../../src/state/freed.ts';
import { writeHeldFile } from '../../src/state/held.ts';
import { writeCutOffs } from '../../src/state/in-hand.ts';
import { appendJournal, compactJournal } from '../../src/state/journal.ts';
import { keepRelease } from '../../src/state/kept-releases.ts';
import { storeKeyring } from '../../src/state/keyring.ts';
import { addToOutbox, writeLedger } from '../../src/state/outbox.ts';
import { writeParts } from '../../src/state/parts.ts';
import { saveReceipt } from '../../src/state/receipts.ts';
import { writeRepairAnswer } from '../../src/state/repairs.ts';
import { activationRequests, writeRequest } from '../../src/state/requests.ts';
import { writeStaged, writeStagedRecord } from '../../src/state/staged.ts';
import { countUnverified } from '../../src/state/unverified.ts';
import { writeVoucher } from '../../src/state/vouchers.ts';
import { ageRecipients } from '../../src/target/machine/age-key.ts';
import { ensureHostKey } from '../../src/target/root/host-key.ts';
import { makeStoreKey } from '../../src/target/root/store-key.ts';
import { writeTestBundle } from './bundles.ts';
import { markOf } from './flushes.ts';
import { record } from './root-machine.ts';

const [folder = ''] = process.argv.slice(2);
const at = (...names: readonly string[]) => join(folder, ...names);
const state = at('state');
const floor = {
  schema: 1,
  sequence: 5,
  manifestDigest: 'd'.repeat(64),
  createdAt: '2026-11-23T12:00:00Z',
} as const;
const transaction = '0123456789ab';
const request = { schema: 2, transaction, source: 'web.tar' } as const;
const receipt = {
  schema: 1,
  transaction,
  at: floor.createdAt,
  source: 'web.tar',
  state: 'committed',
} as const;
const parts = { manifest: Buffer.from('m'), signatures: Buffer.from('s'), index: Buffer.from('i') };
const waits = {
  ...{ schema: 1, transaction, source: 'web.tar', code: 'outside-window', detail: 'x', at: 'now', times: 0 },
};
/** What of a machine is asked for by whoever makes its keys. */
const machine = {
  ...{ floorDirectory: state, agentDirectory: at('agent'), policy: { host: 'web' } },
  ...{ settings: { identityFile: at('age', 'identity') }, randomHex: () => 'abcd' },
} as unknown as Parameters<typeof ensureHostKey>[0] &
  Parameters<typeof makeStoreKey>[0] &
  Parameters<typeof ageRecipients>[0];

/** More than a journal may have before it is written anew. */
async function makeLarge(): Promise<void> {
  await mkdir(at('large'));
  await writeFile(at('large', 'journal'), 'no line of ours\n'.repeat(limits.journalBytes / 10));
}

const writes: Readonly<Record<string, () => Promise<unknown>>> = {
  'a file, and three folders above it': () => writeDurably(at('one', 'two', 'three', 'file'), 'x'),
  'the same file again': () => writeDurably(at('one', 'two', 'three', 'file'), 'y'),
  'the first line of a journal': () => appendJournal(state, record()),
  'the next line': () => appendJournal(state, record({ state: 'healthy' })),
  'a journal written anew': () => compactJournal(at('large')),
  'the floor': () => raiseFloor(state, floor),
  'which releases are held': () => writeHeldFile(state, { number: 1, releases: [] }),
  'the signed time': () => setSignedTime(state, floor, '2026-11-22T12:00:00Z'),
  'a keyring': () => storeKeyring(state, 'keys'),
  'a receipt': () => saveReceipt(state, receipt),
  'a receipt for the desk': () => addToOutbox(state, '5.json', 'signed'),
  'which runs have had theirs': () => writeLedger(state, { schema: 1, number: 1, told: [] }),
  'receipts on a medium': () =>
    deliver(at('medium'), ['nixmaker', 'receipts', 'web'], [{ name: '5.json', text: 'x' }]),
  'a request and what comes with it': () => writeRequest(at('run'), activationRequests, request, parts),
  'a voucher': () => writeVoucher(state, transaction, { signatures: Buffer.from('s') }),
  'the signed parts of a release': () =>
    keepRelease(state, {
      digest: 'e'.repeat(64),
      keep: [],
      release: {
        manifestBytes: Buffer.from('m'),
        signatureBytes: Buffer.from('s'),
        indexBytes: Buffer.from('i'),
        isSecret: false,
      },
    }),
  'what was freed for a release': () => writeRoomAnswer(state, transaction, { freed: nothingFreed }),
  'which parts have come': () =>
    writeParts(state, {
      ...{ host: 'web', sequence: 5, manifestDigest: floor.manifestDigest, of: 3, needed: [2, 3] },
      ...{ here: 4, paths: 9, at: floor.createdAt },
    }),
  'what was freed after a commit': () =>
    writeTidied(state, { schema: 1, transaction, at: floor.createdAt, freed: nothingFreed }),
  'what is damaged in the store': () => writeContentsRecord(state, nothingRead),
  'what was repaired for the agent': () => writeRepairAnswer(state, transaction, {}),
  'a release that waits for its time': () => writeStaged(state, 'd'.repeat(64), { ...parts, record: waits }),
  'what it waits for': () => writeStagedRecord(state, 'd'.repeat(64), waits),
  'which hook followed a commit': () =>
    writeAfterHook(state, {
      schema: 1,
      transaction,
      at: floor.createdAt,
      result: { hook: 'after', ok: true },
    }),
  'what work was cut off': () => writeCutOffs(state, [{ fingerprint: 'f', source: 'web.tar', times: 1 }]),
  'a request that failed': () => countUnverified(state, { at: 'now', code: 'signature-invalid' }),
  'the key of the host': () => ensureHostKey(machine),
  'the key for paths': () => makeStoreKey(machine),
  'the key that bundles are encrypted to': () => ageRecipients(machine),
  'a bundle': () => writeTestBundle(at('web.tar')),
  'an encrypted bundle': async () =>
    encryptFile(at('plain'), at('web.tar.age'), [await recipientOf(await generateIdentity())]),
  'a key that signs': () => makeKeyFiles('fleet-1', at('keys')),
};

const begin = (name: string) => lstatSync(markOf(name), { throwIfNoEntry: false });

await mkdir(at('medium'));
await writeFile(at('plain'), 'x');
await makeLarge();
for (const [name, write] of Object.entries(writes)) {
  begin(name);
  await write();
}
begin('the end');
