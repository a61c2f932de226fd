/** Files that others could have written, or a dying disk: policy, settings, requests, answers, receipts, journal, state. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mostHeld } from '../../../src/core/policy/held.ts';
import { policyParser } from '../../../src/core/policy/policy.ts';
import { settingsParser } from '../../../src/core/policy/settings.ts';
import { hostReceiptType } from '../../../src/core/run/host-receipt.ts';
import { isHostName } from '../../../src/core/schema.ts';
import { readUnverified as readHostReceipt } from '../../../src/desk/fleet/receipt-file.ts';
import { signEnvelope } from '../../../src/signing/envelope.ts';
import { readChecksummed } from '../../../src/state/checksummed.ts';
import { parseConfig } from '../../../src/state/config.ts';
import { readFloor } from '../../../src/state/floor.ts';
import { readHeldFile } from '../../../src/state/held.ts';
import { readJournal } from '../../../src/state/journal.ts';
import { readKeyring } from '../../../src/state/keyring.ts';
import {
  activationRequests,
  keyringRequests,
  type Serving,
  serveRequests,
  visitRequests,
  vouchRequests,
} from '../../../src/state/requests.ts';
import { readAnswer, readMediumWord, readQuestion } from '../../../src/state/screen.ts';
import { jsonMutation } from '../mutations/json.ts';
import { jsonLinesMutation } from '../mutations/lines.ts';
import { buffers, fileWith, firstKey, sealed, type Target } from './target.ts';

const text = JSON.stringify;
const transaction = '0123456789ab';
const digest = 'd'.repeat(64);

const fullPolicy = {
  schema: 1,
  host: 'web',
  operation: 'switch',
  operations: ['switch', 'boot', 'test'],
  trustedKeys: [firstKey.publicText, { key: 'b:x', roles: ['build'], notBefore: '2026-01-01T00:00:00Z' }],
  threshold: 1,
  roles: { build: 1 },
  window: { from: '02:00', to: '04:00', days: ['sat'] },
  limits: { paths: 5, sequenceJump: 3 },
  approval: { command: ['/bin/true'], timeout: 5 },
  health: { units: ['a.service'], commands: [['/bin/true']], retries: 1 },
  reboot: { when: 'always', delay: 5 },
  media: { mount: true, labels: ['x'] },
  receipts: { notify: ['/bin/true'] },
};

const config = (
  name: string,
  schema: typeof policyParser | typeof settingsParser,
  seeds: readonly unknown[],
): Target => ({
  name,
  readers: ['state/config.ts parseConfig'],
  seeds: () => buffers(...seeds.map((s) => text(s)), `{\n  "schema": 1,\n  "host": "web"\n}\n`),
  mutate: jsonMutation,
  run: (data) => {
    const read = parseConfig(data.toString('utf8'), { path: 'x', schema, code: 'policy-malformed' });
    const again = parseConfig(text(read), { path: 'x', schema, code: 'policy-malformed' });
    assert.deepEqual(again, read, 'what is read is not what it says when it is written');
  },
});

const policies = config('policies', policyParser, [
  { schema: 1, host: 'web', operation: 'boot', trustedKeys: ['k:x'] },
  fullPolicy,
]);
const settings = config('settings', settingsParser, [
  {},
  {
    inbox: '/a',
    media: { roots: ['/b'], patience: 1 },
    activation: 'direct',
    switchDeadline: 9,
    metricsFile: '/x.prom',
  },
]);

const requestKinds = [activationRequests, visitRequests, keyringRequests, vouchRequests] as const;

/** To root, all of it is hostile: it is served as what it says, or rejected. */
const requests: Target = {
  name: 'requests',
  readers: ['state/requests.ts serveRequests'],
  seeds: () =>
    buffers(
      text({ schema: 2, transaction, operation: 'switch', source: 'web.tar' }),
      text({
        schema: 1,
        transaction,
        place: '/run/media/x',
        findings: [{ file: 'x', outcome: 'skipped' }],
        runs: [],
      }),
      text({
        ...{ schema: 1, transaction, place: '/m', findings: [] },
        runs: [
          {
            transaction,
            at: 'x',
            source: 's',
            state: 'refused',
            code: 'expired',
            health: [{ check: 'a', ok: true }],
          },
        ],
      }),
      text({ schema: 1, transaction, envelope: '{}' }),
      text({ schema: 2, transaction }),
    ),
  mutate: jsonMutation,
  run: async (data) => {
    for (const kind of requestKinds) {
      const folder = fileWith(join(kind.folder, 'x.json'), data);
      let seen = 0;
      const server = {
        serve: async (request: { readonly transaction: string }, { acknowledge }: Serving) => {
          await acknowledge();
          assert.match(request.transaction, /^[0-9a-f]{12}$/);
          seen += 1;
        },
        reject: () => {
          seen += 1;
        },
        stuck: () => assert.fail('it can neither be removed nor renamed'),
        passedOver: () => assert.fail('it is not many'),
      };
      await serveRequests(folder, kind as typeof activationRequests, server);
      assert.equal(seen, 1, 'a request that was neither served nor rejected');
      rmSync(join(folder, kind.folder), { recursive: true });
    }
  },
};

const receipt = {
  schema: 1,
  host: 'web',
  hostKey: firstKey.publicText,
  number: 7,
  at: '2026-11-28T00:00:00Z',
  run: { transaction, at: 'x', source: 's', state: 'committed', sequence: 5, generation: 3, changes: ['x'] },
  now: { running: '/nix/store/x', reads: [2], versions: { nixmaker: '0.1.0' }, failedUnits: [], space: [] },
  seen: [{ file: 'x.tar', outcome: 'refused', code: 'expired', sequence: 4 }],
};

/** The payload is changed; its envelope is whole, or nothing of it would be met. */
const hostReceipts: Target = {
  name: 'host-receipts',
  readers: [
    'desk/fleet/receipt-file.ts readUnverified',
    'desk/fleet/receipt-file.ts readSealed',
    'desk/fleet/receipt-file.ts openSigned',
  ],
  seeds: () => buffers(text(receipt), text({ ...receipt, now: undefined, run: undefined, seen: [] })),
  mutate: jsonMutation,
  run: async (data) => {
    const folder = fileWith('receipt.json', signEnvelope(data, hostReceiptType, firstKey));
    const read = await readHostReceipt(join(folder, 'receipt.json'));
    assert.ok(isHostName(read.host), 'a host’s name that leads elsewhere');
  },
};

const line = {
  schema: 1,
  at: '2026-11-28T00:00:00Z',
  transaction,
  state: 'committed',
  source: 's',
  sequence: 5,
  manifestDigest: digest,
};

/** Nothing in a journal, and no damage to it, keeps what it says of other runs from being read. */
const journal: Target = {
  name: 'journal-lines',
  readers: ['state/journal.ts readJournal', 'state/checksummed.ts readChecksummed'],
  seeds: () => buffers(text(line), text({ ...line, code: 'x', bootId: 'b', toplevel: 't', other: [1] })),
  mutate: jsonLinesMutation,
  run: async (data) => {
    // A line of its own: lines within it are not sealed.
    const oneLine = Buffer.from(data.toString('latin1').replace(/[\r\n]/g, ' '), 'latin1');
    const torn = sealed(oneLine).subarray(0, 20);
    const good = sealed(Buffer.from(text(line)));
    const folder = fileWith(
      'journal',
      Buffer.concat([sealed(oneLine), data, Buffer.from('\n'), torn, Buffer.from('\n'), good]),
    );
    const { records } = await readJournal(folder);
    assert.equal(records.at(-1)?.transaction, transaction, 'a line that hides another');
    readChecksummed(oneLine.toString('utf8'));
  },
};

const goodFloor = text({ schema: 1, sequence: 5, manifestDigest: digest, createdAt: '2026-11-28T00:00:00Z' });

/** Two copies, of which one is damaged: the other counts. */
const floors: Target = {
  name: 'floors',
  readers: ['state/floor.ts readFloor', 'state/two-copies.ts readCopies', 'state/two-copies.ts readChecked'],
  seeds: () => buffers(goodFloor),
  mutate: jsonMutation,
  run: async (data) => {
    const folder = fileWith('floor.a', sealed(data));
    writeFileSync(join(folder, 'floor.b'), sealed(Buffer.from(goodFloor)));
    const { floor, damaged } = await readFloor(folder);
    assert.ok(floor !== undefined && floor.sequence >= 5, 'a damaged copy lowers the floor');
    assert.ok(damaged <= 1);
  },
};

const goodHeld = {
  ...{ schema: 1, number: 2 },
  releases: [{ sequence: 5, floor: 5, since: '2026-11-28T00:00:00Z', because: 'rolled back from it' }],
};

/** As for the floor: nothing that stands in one copy hides the newer one. */
const held: Target = {
  name: 'held-releases',
  readers: ['state/held.ts readHeldFile'],
  seeds: () => buffers(text(goodHeld), text({ ...goodHeld, number: 1, releases: [] })),
  mutate: jsonMutation,
  run: async (data) => {
    const folder = fileWith('held.a', sealed(data));
    writeFileSync(join(folder, 'held.b'), sealed(Buffer.from(text(goodHeld))));
    const { number, releases, isDamaged } = await readHeldFile(folder);
    assert.ok(!isDamaged && number >= 2 && releases.length <= mostHeld);
  },
};

const keyringState: Target = {
  name: 'stored-keyrings',
  readers: ['state/keyring.ts readKeyring'],
  seeds: () =>
    buffers(
      text({
        schema: 1,
        keyring: `${text({ schema: 1, version: 1, hosts: ['web'], trustedKeys: ['k:x'], threshold: 1, roles: {} })}\n`,
      }),
    ),
  mutate: jsonMutation,
  run: (data) => readKeyring(fileWith('keyring.a', sealed(data))),
};

const screen: Target = {
  name: 'screen-files',
  readers: ['readMediumWord', 'readQuestion', 'readAnswer'].map((name) => `state/screen.ts ${name}`),
  seeds: () =>
    buffers(
      text({ schema: 1, id: transaction, bootId: 'b', sequence: 7, operation: 'switch', until: 60.5 }),
      text({ schema: 1, id: transaction, approved: true }),
      text({
        schema: 1,
        at: '2026-11-28T00:00:00Z',
        bootId: 'b',
        place: '/mnt',
        eject: true,
        run: { transaction, state: 'failed', code: 'no-space', sequence: 7 },
      }),
    ),
  mutate: jsonMutation,
  run: async (data) => {
    const word = await readMediumWord(fileWith('medium.json', data));
    assert.ok(word === undefined || word.place.startsWith('/'));
    const question = await readQuestion(fileWith('question.json', data));
    assert.ok(question === undefined || /^[0-9a-f]{12}$/.test(question.id));
    const answer = await readAnswer(fileWith('answer.json', data));
    assert.ok(answer === undefined || typeof answer.approved === 'boolean');
  },
};

export const stateTargets: readonly Target[] = [
  screen,
  policies,
  settings,
  requests,
  hostReceipts,
  journal,
  floors,
  held,
  keyringState,
];
