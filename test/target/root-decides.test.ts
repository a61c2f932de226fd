/**
 * Root’s own decision, tested alone: genuine, signed requests are put straight into its folders, for systems that lie in the store
 * already. What the agent would have said of them is left out; whatever root’s decision lets through is activated here.
 */
import assert from 'node:assert/strict';
import { copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { makeKeys, makeWorkshop, plainHost } from '../support/fleet.ts';
import {
  askForActivation,
  askForVoucher,
  bringPaths,
  changePolicy,
  type RootsAnswer,
} from '../support/requests-to-root.ts';
import { take } from '../support/targets.ts';

const shop = await makeWorkshop();
const anna = await makeKeys(shop.folder, 'anna-1');
const ran = '/run/nixmaker-test-verbs';
/** Says which verbs were run of it. */
const telling = `mkdir -p /run; echo "\${1:-}" >>${ran}`;
const hosts = (name: string) => ({ web: plainHost('web', name), mail: plainHost('mail', name) });
const release = (name: string, sequence: number, ...args: string[]) =>
  shop.bundle(`root-${name}`, {
    hosts: hosts(name),
    switchPrelude: telling,
    args: ['--sequence', String(sequence), ...args],
  });

const root = join(shop.folder, 'target');
const target: Target = await makeTarget(root, {
  host: 'web',
  trustedKeys: [shop.keys.publicKey],
  nixConf: `!include ${join(root, 'state/store-key.conf')}\n`,
  settings: { activationDirectory: join(root, 'activation') },
});
after(() => target.close());

const bundles = {
  older: await release('older', 10),
  running: await release('running', 20),
  good: await release('good', 30),
  expired: await release('expired', 40, '--expires', '2026-11-01T00:00:00Z'),
  mail: await shop.bundle('root-mail', { hosts: hosts('mail'), host: 'mail', args: ['--sequence', '50'] }),
} as const;

const time = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString().slice(11, 16);

interface Case {
  readonly bundle: keyof typeof bundles;
  readonly policy?: Record<string, unknown>;
  readonly outcome: readonly [string, string];
  /** Its detail, so that it was for this reason and no other. */
  readonly because: RegExp;
  readonly states?: readonly string[];
  readonly around?: (work: () => Promise<void>) => Promise<void>;
  /** Asked of activations only. */
  readonly notVouching?: true;
}

async function withoutFloor(work: () => Promise<void>): Promise<void> {
  const copies = ['a', 'b'].map((c) => join(target.stateDirectory, `floor.${c}`));
  for (const copy of copies) await copyFile(copy, `${copy}.kept`);
  try {
    for (const copy of copies) await rm(copy);
    await work();
  } finally {
    for (const copy of copies) await copyFile(`${copy}.kept`, copy);
  }
}

const cases: Readonly<Record<string, Case>> = {
  'an older sequence': {
    bundle: 'older',
    outcome: ['refused', 'sequence-older'],
    because: /this machine has taken 21/,
  },
  'another host’s': {
    bundle: 'mail',
    outcome: ['refused', 'wrong-host'],
    because: /is for mail; this machine is web/,
  },
  'one that has expired': {
    bundle: 'expired',
    outcome: ['refused', 'expired'],
    because: /it expired at 2026-11-01/,
  },
  'one over a limit': {
    bundle: 'good',
    policy: { limits: { closureBytes: 10 } },
    outcome: ['refused', 'over-limit'],
    because: /closureBytes is [\d.]+ \w+; the policy allows 10 B/,
  },
  'one too far ahead': {
    bundle: 'good',
    policy: { limits: { sequenceJump: 5 } },
    outcome: ['refused', 'sequence-jump'],
    because: /the policy allows at most 5/,
  },
  'one by a key whose time is over': {
    bundle: 'good',
    policy: { trustedKeys: [{ key: shop.keys.publicKey, notAfter: '2020-01-01T00:00:00Z' }] },
    outcome: ['refused', 'key-not-valid'],
    because: /fleet-1/,
  },
  'one without a person’s signature': {
    bundle: 'good',
    policy: {
      trustedKeys: [
        { key: shop.keys.publicKey, roles: ['build'] },
        { key: anna.publicKey, roles: ['approve'] },
      ],
      roles: { build: 1, approve: 1 },
    },
    outcome: ['refused', 'role-missing'],
    because: /approve/,
  },
  'one outside of the window': {
    bundle: 'good',
    policy: { window: { from: time(2), to: time(4) }, stage: { allow: false } },
    outcome: ['deferred', 'outside-window'],
    because: /the window opens at/,
  },
  'one that the floor, which is lost, can’t be asked about': {
    bundle: 'good',
    around: withoutFloor,
    outcome: ['deferred', 'floor-lost'],
    because: /the floor is missing/,
  },
  'one that nobody at the machine agrees to': {
    bundle: 'good',
    policy: { approval: { command: ['/bin/false'] }, stage: { allow: false } },
    outcome: ['deferred', 'not-approved'],
    because: /refused/,
    states: ['discovered', 'verified', 'accepted', 'imported', 'realised', 'deferred'],
    notVouching: true,
  },
};

const verbsRun = async () => (await target.run(['sh', '-c', `cat ${ran} 2>/dev/null; rm -f ${ran}`])).stdout;
const stands = async () => [await target.currentSystem(), await target.profile()];

async function under({ policy = {}, around = (work) => work() }: Case, work: () => Promise<void>) {
  const back = await changePolicy(target, policy);
  try {
    await around(work);
  } finally {
    await back();
  }
}

before(async () => {
  assert.equal((await target.verb('store-key')).code, 0);
  await target.restartDaemon();
  const taken = await take(target, 'switch', bundles.running);
  assert.equal(taken.state, 'committed', taken.detail);
  for (const name of ['older', 'good', 'expired', 'mail'] as const) await bringPaths(target, bundles[name]);
});

for (const [what, wanted] of Object.entries(cases)) {
  test(`asked for it directly, root does not activate ${what}`, async () => {
    await under(wanted, async () => {
      const was = await stands();
      await verbsRun();
      const answer: RootsAnswer = await askForActivation(target, bundles[wanted.bundle]);
      assert.deepEqual([answer.state, answer.code], wanted.outcome);
      assert.match(answer.detail ?? '', wanted.because);
      assert.deepEqual(answer.states, wanted.states ?? ['discovered', wanted.outcome[0]]);
      assert.deepEqual(await stands(), was);
      // Its own word on whether it can be switched to is asked before a person is.
      assert.equal(await verbsRun(), wanted.notVouching ? 'check\n' : '');
    });
  });
}

for (const [what, wanted] of Object.entries(cases).filter(([, c]) => c.notVouching === undefined)) {
  test(`asked for it directly, root does not vouch for ${what}`, async () => {
    await under(wanted, async () => {
      const answer = await askForVoucher(target, bundles[wanted.bundle]);
      assert.ok(answer !== undefined && 'refusal' in answer, 'it vouched');
      assert.equal(answer.refusal.code, wanted.outcome[1]);
      assert.match(answer.refusal.detail, wanted.because);
    });
  });
}

test('what it would take by its policy it vouches for and activates, asked in the same way', async () => {
  const voucher = await askForVoucher(target, bundles.good);
  assert.ok(voucher !== undefined && 'signatures' in voucher);
  assert.match(voucher.signatures.toString(), /^nixmaker-store-web-/);
  const answer = await askForActivation(target, bundles.good);
  assert.deepEqual([answer.state, answer.code], ['committed', undefined], answer.detail);
  assert.equal(await verbsRun(), 'check\nboot\nswitch\n');
});

test('asked for an older one again, after that, it says so', async () => {
  const answer = await askForActivation(target, bundles.running);
  assert.deepEqual([answer.state, answer.code], ['refused', 'sequence-older']);
});
