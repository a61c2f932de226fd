/** Root’s side where one process is both, and what the helper’s unit does around the requests that it serves. */
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { encodeKeyring } from '../../../src/core/policy/keyring.ts';
import type { StorePath } from '../../../src/core/store-path.ts';
import { addKeyringSignature, keyringMessage, unsignedKeyring } from '../../../src/signing/keyring.ts';
import { generateKeyPair, parseSecretKey } from '../../../src/signing/nix-key.ts';
import { signPath } from '../../../src/signing/path-signature.ts';
import { readKeyring } from '../../../src/state/keyring.ts';
import { readReceipt } from '../../../src/state/receipts.ts';
import { keyringRequests, writeRequest } from '../../../src/state/requests.ts';
import type { RootMachine } from '../../../src/target/machine/machine.ts';
import type { AskedActivation } from '../../../src/target/machine/root.ts';
import { Transaction } from '../../../src/target/machine/transaction.ts';
import { rootDirect } from '../../../src/target/root/direct.ts';
import { endStopped, serveAgent } from '../../../src/target/root/serve.ts';
import { makeStoreKey, readStoreKey } from '../../../src/target/root/store-key.ts';
import { askedRoot, requestId, storeWith } from '../../support/asked-root.ts';
import { makeTestRelease, secret } from '../../support/bundles.ts';
import {
  type InMemory,
  type Making,
  newSystem,
  oldSystem,
  rootInMemory,
  thisBoot,
} from '../../support/root-machine.ts';

const good = makeTestRelease();
const { verified, index } = { verified: { manifest: good.release.manifest }, index: good.release.index };
const release = { verified, index } as unknown as NonNullable<AskedActivation['release']>;

/** How often the keys were read again. */
type Scene = InMemory & { readonly machine: RootMachine; readonly reloads: () => number };

async function scene(t: TestContext, making: Making = {}): Promise<Scene> {
  const made = await rootInMemory(t, making);
  let count = 0;
  const reloadKeyring = async () => {
    count += 1;
  };
  const machine = { ...made.machine, reloadKeyring } as RootMachine;
  return { ...made, machine, reloads: () => count };
}

const next = generateKeyPair('next-1');

/** Signed by the key of the policy and by its own. */
function keyring(version = 1): string {
  const text = encodeKeyring({
    ...{ schema: 1, version, hosts: ['web'], threshold: 1, roles: {} },
    trustedKeys: [next.public],
  });
  const signers = [secret, parseSecretKey(next.secret)];
  return signers.reduce(
    (envelope, key) => addKeyringSignature(envelope, key.name, key.sign(keyringMessage(text))),
    unsignedKeyring(text),
  );
}

const ask = async (machine: RootMachine): Promise<AskedActivation> => ({
  transaction: await Transaction.begin(machine, 'web.tar'),
  toplevel: good.release.manifest.toplevel,
  release,
  operation: 'switch',
  unattended: false,
});

test('in one process, too, what lies in the store is compared with what was signed before it is activated', async (t) => {
  const other = storeWith(makeTestRelease());
  const { machine } = await scene(t, { role: 'direct', answer: other });
  await assert.rejects(rootDirect(machine).activate(await ask(machine)), { code: 'store-differs' });
});

test('what nobody has signed is not compared: root has taken it by hand', async (t) => {
  const other = storeWith(makeTestRelease());
  const { machine, started } = await scene(t, { role: 'direct', answer: other });
  const asked = { ...(await ask(machine)), release: undefined };
  // There is no such system here: it got as far as that.
  await assert.rejects(rootDirect(machine).activate(asked), { code: 'not-a-system' });
  assert.ok(started.every(({ argv }) => !argv.includes('path-info')));
  // What is as it was signed gets as far.
  const signed = await scene(t, { role: 'direct', answer: storeWith(good) });
  await assert.rejects(rootDirect(signed.machine).activate(await ask(signed.machine)), {
    code: 'not-a-system',
  });
});

test('in one process it vouches with the store key, for every path', async (t) => {
  const { machine } = await scene(t, { role: 'direct' });
  await makeStoreKey(machine);
  const { transaction } = await ask(machine);
  const signatures = await rootDirect(machine).vouch({ transaction, release });
  const key = await readStoreKey(machine);
  assert.deepEqual(signatures.of(0), [signPath(index.info(0), key)]);
  assert.deepEqual(signatures.keyNames, [key.name]);
});

test('a keyring is kept, its keys count at once, and that is told; in one process as in two', async (t) => {
  const direct = await scene(t, { role: 'direct' });
  await rootDirect(direct.machine).acceptKeyring({ envelope: keyring(), version: 1, source: 'x' });
  const helper = await scene(t);
  await askFor(helper.machine, keyring());
  await serveAgent(helper.machine);
  for (const { machine, reloads, events } of [direct, helper]) {
    const kept = await readKeyring(machine.floorDirectory);
    assert.deepEqual([kept?.version, kept?.trustedKeys.map((k) => k.key)], [1, [next.public]]);
    assert.equal(reloads(), 1);
    assert.deepEqual(
      events.filter((e) => e.event === 'keyring-accepted'),
      [{ event: 'keyring-accepted', level: 'warn', version: 1 }],
    );
  }
});

async function askFor(machine: RootMachine, envelope: string): Promise<void> {
  await mkdir(join(machine.requestsDirectory, keyringRequests.folder), { recursive: true });
  await writeRequest(machine.requestsDirectory, keyringRequests, {
    ...{ schema: 1, transaction: requestId(1), envelope },
  });
}

test('a keyring that does not count is told with its reason, goes, and changes nothing', async (t) => {
  const { machine, events, reloads } = await scene(t);
  await askFor(machine, keyring(2));
  await serveAgent(machine);
  assert.deepEqual(
    events.filter((e) => e.event === 'request-rejected'),
    [
      {
        ...{ event: 'request-rejected', level: 'warn', name: 'keyring' },
        detail: 'keyring-gap: it has version 2; this machine has 0',
      },
    ],
  );
  assert.deepEqual([await readKeyring(machine.floorDirectory), reloads()], [undefined, 0]);
  const request = join(machine.requestsDirectory, keyringRequests.folder, `${requestId(1)}.json`);
  await assert.rejects(readFile(request), { code: 'ENOENT' });
});

test('a fault that is none of ours is told as it is', async (t) => {
  const { machine, events } = await scene(t);
  const broken = {
    ...machine,
    reloadKeyring: () => Promise.reject(new RangeError('no memory')),
  } as RootMachine;
  await askFor(broken, keyring());
  await serveAgent(broken);
  assert.equal(events.find((e) => e.event === 'request-rejected')?.detail, 'RangeError: no memory');
});

const cutOff = {
  ...({ state: 'rolling-back', operation: 'switch', bootId: thisBoot, generation: undefined } as const),
  ...{ code: 'health-failed', detail: 'failed: x' },
};
const midway = { booted: oldSystem, running: oldSystem, generations: [oldSystem, newSystem] };

test('where policy or keyring can’t be used, what was cut off is ended all the same, and no request is looked at', async (t) => {
  const { machine, write, runs } = await scene(t, midway);
  await write(cutOff);
  await askFor(machine, keyring());
  await endStopped(machine);
  const [run] = await runs();
  assert.deepEqual([run?.state, run?.code], ['rolled-back', 'health-failed']);
  const receipt = await readReceipt(machine.settings.stateDirectory, '0123456789ab');
  assert.equal(receipt?.state, 'rolled-back');
  assert.equal(await readKeyring(machine.floorDirectory), undefined);
});

test('a run that had ended, and was killed before its receipt, gets it there as well', async (t) => {
  const { machine, write } = await scene(t, midway);
  await write({ state: 'committed' });
  await endStopped(machine);
  assert.equal((await readReceipt(machine.settings.stateDirectory, '0123456789ab'))?.state, 'committed');
});

test('what was cut off is ended before requests are served; afterwards a restart is asked for', async (t) => {
  const { machine, write, runs, started } = await scene(t, {
    ...{ ...midway, generations: [newSystem], running: newSystem },
    policy: { reboot: { when: 'always' } },
  });
  await write({
    state: 'committed',
    operation: 'switch',
    bootId: thisBoot,
    toplevel: newSystem,
    generation: 1,
  });
  await write({
    ...cutOff,
    transaction: 'aaaaaaaaaaaa',
    previousToplevel: newSystem,
    previousCurrent: newSystem,
  });
  await serveAgent(machine);
  assert.equal((await runs()).at(-1)?.state, 'rolled-back');
  const last = started.at(-1)?.argv.join(' ');
  assert.equal(last, 'systemctl start --no-block nixmaker-reboot.service');
});

/** What Nix says of the running system and what it refers to. */
const closureOf = (system: StorePath) => (argv: readonly string[]) => {
  const info = {
    narHash: `sha256-${Buffer.alloc(32).toString('base64')}`,
    narSize: 100,
    references: [],
    signatures: [],
  };
  if (argv.includes('path-info')) return { stdout: JSON.stringify({ [system]: info }) };
  return undefined;
};

test('what runs is signed once in a machine’s life: by the helper, and in one process when it resumes', async (t) => {
  for (const role of ['root', 'direct'] as const) {
    const { machine, events, started } = await scene(t, {
      ...{ role, running: oldSystem, booted: oldSystem, generations: [oldSystem] },
      answer: closureOf(oldSystem),
    });
    const resume = () => (role === 'root' ? serveAgent(machine) : rootDirect(machine).resume());
    for (const _ of [1, 2]) await resume();
    const adopted = events.filter((e) => e.event.includes('adopted'));
    assert.deepEqual(adopted, [{ event: 'system-adopted', system: oldSystem, paths: 1 }]);
    assert.equal(started.filter(({ argv }) => argv.includes('path-info')).length, 1);
  }
});

test('in one process what was cut off is ended when it resumes', async (t) => {
  const { machine, write } = await scene(t, { ...midway, role: 'direct' });
  await write(cutOff);
  const receipts = await rootDirect(machine).resume();
  assert.deepEqual(
    receipts.map((r) => r.state),
    ['rolled-back'],
  );
});

for (const [what, before] of [
  ['was only tried out', { state: 'committed', code: undefined, generation: undefined }],
  ['failed, and may be tried again,', { state: 'failed', code: 'io-error' }],
  ['was refused, and would be taken now,', { state: 'refused', code: 'expired' }],
  ['waited, and would be taken now,', { state: 'deferred', code: 'outside-window' }],
] as const)
  test(`what ${what} when it was asked about last is no repeat: it has a run of its own`, async (t) => {
    const { activate, runs, write } = await askedRoot(t, good);
    await write({ transaction: 'ffffffffffff', manifestDigest: good.digest, operation: 'switch', ...before });
    const receipt = await activate(good, 1);
    // There is no such system here: it got as far as that.
    assert.deepEqual([receipt?.state, receipt?.code], ['refused', 'not-a-system']);
    assert.deepEqual(
      (await runs()).map((r) => r.transaction),
      ['ffffffffffff', requestId(1)],
    );
  });
