/** Genuine, signed requests straight to root, which decides again: what it answers, what it records, what it says to the log. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeKeyBlock } from '../../../src/core/release/nix-signatures.ts';
import { storeDir } from '../../../src/core/store-path.ts';
import { signPath } from '../../../src/signing/path-signature.ts';
import { raiseFloor } from '../../../src/state/floor.ts';
import { readJournal } from '../../../src/state/journal.ts';
import { readReceipt } from '../../../src/state/receipts.ts';
import { readUnverified } from '../../../src/state/unverified.ts';
import { readVoucher } from '../../../src/state/vouchers.ts';
import { Transaction } from '../../../src/target/machine/transaction.ts';
import { completeReceipts } from '../../../src/target/root/activation.ts';
import { requireSigned } from '../../../src/target/root/require-signed.ts';
import { serveAgent } from '../../../src/target/root/serve.ts';
import { makeStoreKey, readStoreKey } from '../../../src/target/root/store-key.ts';
import { serveVouchers } from '../../../src/target/root/vouch.ts';
import {
  askedRoot,
  askForActivation,
  askForVoucher,
  requestId,
  storeWith,
} from '../../support/asked-root.ts';
import { makeTestRelease } from '../../support/bundles.ts';
import { storePathOf } from '../../support/releases.ts';
import { record, rootInMemory } from '../../support/root-machine.ts';

const good = makeTestRelease();
const forMail = makeTestRelease({ manifest: { host: 'mail' } });
const { toplevel } = good.release.manifest;
const shut = { window: { from: '02:00', to: '03:00' }, stage: { allow: false } };
const floorOf = (sequence: number, manifestDigest: string) =>
  ({ schema: 1, sequence, manifestDigest, createdAt: '2026-11-01T00:00:00Z' }) as const;

for (const [what, release, policy, outcome, detail] of [
  ['another host’s', forMail, {}, ['refused', 'wrong-host'], /is for mail; this machine is web/],
  [
    'one over a limit',
    good,
    { limits: { paths: 1 } },
    ['refused', 'over-limit'],
    /paths is 3; the policy allows 1/,
  ],
  ['one while the window is shut', good, shut, ['deferred', 'outside-window'], /opens at 2026-11-29T02:00/],
] as const) {
  test(`asked to activate ${what}, root does not, and looks at nothing of it`, async (t) => {
    const { activate, started, runs } = await askedRoot(t, good, { policy });
    const receipt = await activate(release, 1);
    assert.deepEqual([receipt?.state, receipt?.code], outcome);
    assert.match(receipt?.detail ?? '', detail);
    assert.deepEqual(
      (await runs()).map((r) => [r.transaction, r.state, r.manifestDigest]),
      [[requestId(1), outcome[0], release.digest]],
    );
    assert.ok(
      started.every(({ argv }) => argv.includes('system')),
      'no more is asked than which Nix it is',
    );
  });

  test(`asked to vouch for ${what}, root does not, and says why to the agent and to the log`, async (t) => {
    const { machine, vouch, events } = await askedRoot(t, good, { policy });
    await makeStoreKey(machine);
    const answer = await vouch(release, 1);
    assert.ok(answer !== undefined && 'refusal' in answer);
    assert.equal(answer.refusal.code, outcome[1]);
    assert.match(answer.refusal.detail, detail);
    const [said] = events.filter((e) => e.event === 'request-rejected');
    assert.deepEqual([said?.name, said?.level], ['voucher', 'warn']);
    assert.match(String(said?.detail), new RegExp(`^${outcome[1]}: `));
  });
}

test('what it would take it vouches for, path by path, and without a word to the log', async (t) => {
  const { machine, vouch, events } = await askedRoot(t, good);
  await makeStoreKey(machine);
  const answer = await vouch(good, 1);
  assert.ok(answer !== undefined && 'signatures' in answer);
  const key = await readStoreKey(machine);
  const { index } = good.release;
  const block = encodeKeyBlock(index, key.name, (line) => signPath(index.info(line), key));
  assert.equal(answer.signatures.toString(), block);
  assert.deepEqual(events, []);
});

test('without a store key it says so, and vouches for nothing', async (t) => {
  const answer = await (await askedRoot(t, good)).vouch(good, 1);
  assert.ok(answer !== undefined && 'refusal' in answer);
  assert.equal(answer.refusal.code, 'nix-key-untrusted');
});

test('a fault of its own is no answer to the agent: it is thrown', async (t) => {
  const { machine } = await askedRoot(t, good);
  const broken = {
    ...machine,
    clock: {
      ...machine.clock,
      now: () => {
        throw new RangeError('no time');
      },
    },
  };
  await askForVoucher(machine, good, 1);
  await assert.rejects(serveVouchers(broken), /no time/);
  assert.equal(await readVoucher(machine.settings.activationDirectory, requestId(1)), undefined);
});

test('what does not verify is answered, counted, and leaves nothing in the journal', async (t) => {
  const { activate, machine, runs } = await askedRoot(t, good);
  const unsigned = { ...good, signatureBytes: forMail.signatureBytes };
  for (const n of [1, 2]) {
    const receipt = await activate(unsigned, n);
    assert.deepEqual(
      [receipt?.state, receipt?.code, receipt?.source],
      ['refused', 'signature-invalid', 'web.tar'],
    );
  }
  assert.deepEqual(await runs(), []);
  const { count, code } = (await readUnverified(machine.settings.stateDirectory)) ?? {};
  assert.deepEqual([count, code], [2, 'signature-invalid']);
});

test('the same, refused again for the same reason, is answered again and recorded once', async (t) => {
  const { activate, runs, events } = await askedRoot(t, good);
  for (const n of [1, 2, 3]) {
    const receipt = await activate(forMail, n);
    assert.deepEqual(
      [receipt?.state, receipt?.code, receipt?.transaction],
      ['refused', 'wrong-host', requestId(n)],
    );
  }
  assert.equal((await runs()).length, 1);
  assert.equal(events.filter((e) => e.event === 'request-rejected').length, 2);
});

test('the same, told to wait again, is answered again and recorded once', async (t) => {
  const { activate, runs } = await askedRoot(t, good, { policy: shut });
  for (const n of [1, 2]) assert.equal((await activate(good, n))?.code, 'outside-window');
  assert.equal((await runs()).length, 1);
});

for (const [what, before] of [
  ['for another reason', { state: 'refused', code: 'expired', operation: 'switch' }],
  ['to wait, not refused,', { state: 'deferred', code: 'wrong-host', operation: 'switch' }],
  ['for another operation', { state: 'refused', code: 'wrong-host', operation: 'boot' }],
] as const)
  test(`what was told ${what} the last time is recorded anew`, async (t) => {
    const { activate, runs, write } = await askedRoot(t, good);
    await write({ transaction: 'ffffffffffff', manifestDigest: forMail.digest, ...before });
    assert.equal((await activate(forMail, 1))?.code, 'wrong-host');
    assert.equal((await runs()).length, 2);
  });

test('an id that was served is never served again: its receipt would be another', async (t) => {
  const { activate, runs, events } = await askedRoot(t, good);
  const first = await activate(forMail, 1);
  const again = await activate(good, 1);
  assert.deepEqual([again, (await runs()).length], [first, 1]);
  assert.ok(events.some((e) => e.event === 'request-rejected' && e.detail === 'it was already served'));
});

test('what is in place already is nothing to do: committed, and no index is read', async (t) => {
  const installed = { running: toplevel, generations: [toplevel] };
  const { activate, machine, started } = await askedRoot(t, good, installed);
  await raiseFloor(machine.floorDirectory, floorOf(7, good.digest));
  const receipt = await activate({ ...good, release: forMail.release }, 1);
  assert.deepEqual(
    [receipt?.state, receipt?.code, receipt?.detail],
    ['committed', undefined, 'This bundle was already taken; there was nothing to do.'],
  );
  assert.ok(started.every(({ argv }) => argv.includes('system')));
});

test('with another index than the signed one it goes no further', async (t) => {
  const { activate, started } = await askedRoot(t, good);
  const receipt = await activate({ ...good, release: makeTestRelease().release }, 1);
  assert.equal(receipt?.state, 'refused');
  assert.ok(started.every(({ argv }) => argv.includes('system')));
});

test('what lies in the store otherwise than it was signed is not activated, and nothing keeps it there', async (t) => {
  const { activate, machine } = await askedRoot(t, makeTestRelease());
  const receipt = await activate(good, 1);
  assert.deepEqual([receipt?.state, receipt?.code], ['failed', 'store-differs']);
  assert.deepEqual([receipt?.sequence, receipt?.host, receipt?.operation], [7, 'web', 'switch']);
  await assert.rejects(readFile(join(machine.settings.stateDirectory, 'roots/incoming')), { code: 'ENOENT' });
});

test('the system is asked for by itself: what is valid may be gone a moment later', async (t) => {
  const known = storeWith(good);
  const { machine } = await rootInMemory(t, {
    answer: (argv) => (argv.includes('--check-validity') ? { exitCode: 1 } : known(argv)),
  });
  const transaction = await Transaction.begin(machine, 'web.tar');
  const { manifest, index } = good.release;
  const signed = { transaction, manifest, index };
  await assert.rejects(requireSigned(machine, signed), {
    code: 'closure-incomplete',
    detail: `${toplevel} is not in the store`,
  });
  const whole = await rootInMemory(t, { answer: known });
  await requireSigned(whole.machine, { ...signed, transaction: await Transaction.begin(whole.machine, 'x') });
  assert.deepEqual(
    whole.events.map((e) => e.event),
    ['discovered'],
    'nothing was left unsigned',
  );
});

test('what was built here is looked for as well: no index lists it', async (t) => {
  const built = storePathOf(9, 'built');
  const base = storePathOf(8, 'base');
  const known = storeWith(good);
  const narHash = `sha256-${Buffer.alloc(32).toString('base64')}`;
  const infos = {
    [built]: { narHash, narSize: 1, references: [base] },
    [base]: { narHash, narSize: 1, references: [] },
  };
  const { machine } = await rootInMemory(t, {
    answer: (argv) => {
      const asked = Object.entries(infos).filter(([path]) => argv.includes(path));
      return argv.includes('path-info') && asked.length > 0
        ? { stdout: JSON.stringify(Object.fromEntries(asked)) }
        : known(argv);
    },
  });
  const store = join(machine.floorDirectory, 'store');
  const { manifest, index } = good.release;
  await mkdir(`${store}${storeDir}`, { recursive: true });
  for (const path of [...index.paths(), built]) await writeFile(`${store}${path}`, 'a file');
  const here = { ...machine, nix: { ...machine.nix, store } };
  const ofRecipe = { ...manifest, content: 'derivation', toplevel: built } as const;
  const transaction = await Transaction.begin(machine, 'web.tar');
  await assert.rejects(requireSigned(here, { transaction, manifest: ofRecipe, index }), {
    code: 'store-corrupt',
    detail: `valid for Nix, but not whole: ${base} (its files are gone)`,
  });
  await writeFile(`${store}${base}`, 'a file');
  await requireSigned(here, { transaction, manifest: ofRecipe, index });
});

test('a run that ended without its receipt gets it; what has one, or has not ended, is left alone', async (t) => {
  const { machine, write } = await rootInMemory(t);
  const [ended, waits, open] = [requestId(1), requestId(2), requestId(3)];
  await write(
    { transaction: ended, state: 'committed' },
    { transaction: waits, state: 'pending', detail: 'x' },
    { transaction: open, state: 'switched' },
  );
  await completeReceipts(machine);
  const { stateDirectory } = machine.settings;
  assert.deepEqual(
    await Promise.all([ended, waits, open].map(async (n) => (await readReceipt(stateDirectory, n))?.state)),
    ['committed', 'pending', undefined],
  );
  assert.equal((await readReceipt(stateDirectory, ended))?.sequence, record().sequence);
  const length = (await readJournal(stateDirectory)).records.length;
  await completeReceipts(machine);
  assert.equal((await readJournal(stateDirectory)).records.length, length);
});

test('of runs without receipts the newest sixteen get theirs', async (t) => {
  const { machine, write } = await rootInMemory(t);
  await write(
    ...Array.from({ length: 18 }, (_, n) => ({ transaction: requestId(n), state: 'refused' as const })),
  );
  await completeReceipts(machine);
  const { stateDirectory } = machine.settings;
  const has = await Promise.all(
    [1, 2, 17].map(async (n) => (await readReceipt(stateDirectory, requestId(n)))?.state),
  );
  assert.deepEqual(has, [undefined, 'refused', 'refused']);
});

test('a kind of request that can’t be served keeps no other waiting, and is told at the end', async (t) => {
  const { machine } = await askedRoot(t, good);
  const { activationDirectory, stateDirectory } = machine.settings;
  await mkdir(activationDirectory, { recursive: true });
  await writeFile(join(activationDirectory, 'vouchers'), 'no folder');
  await askForVoucher(machine, good, 1);
  await askForActivation(machine, forMail, 2);
  await assert.rejects(serveAgent(machine), { code: /^E/ });
  assert.equal((await readReceipt(stateDirectory, requestId(2)))?.code, 'wrong-host');
});
