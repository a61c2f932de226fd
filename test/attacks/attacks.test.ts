/**
 * Every attack of this folder, against `verify` and against a running agent on a real target: refused with the code that
 * the documentation promises, no new valid store path, no file outside of nixmaker’s own places, in bounded time and
 * memory, the agent alive, and the next good bundle taken.
 */
import assert from 'node:assert/strict';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { retryFrom } from '../../src/target/update/postponed.ts';
import type { RunningAgent } from '../machines/agent.ts';
import { run } from '../machines/program.ts';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { answerOf } from '../support/attack-control.ts';
import { type NamedAttack, readAttacks } from '../support/attack-files.ts';
import { isItsTurn } from '../support/cases.ts';
import { makeKeys, makeWorkshop, plainHost } from '../support/fleet.ts';
import { assemble, type Kit, readKey, sha256, takeApart, withHeader } from '../support/forge.ts';
import { freshLines, linesOf, rebuilt } from '../support/forge-release.ts';
import { keepTable } from '../support/out.ts';

const attacks = await readAttacks();

const shop = await makeWorkshop();
const stranger = await makeKeys(shop.folder, 'stranger-1');
const impostor = await makeKeys(join(shop.folder, 'impostor'), 'fleet-1');
const release = (name: string, sequence: number, host = 'web') =>
  shop.bundle(name, {
    host,
    hosts: { [host]: plainHost(host, name) },
    args: ['--sequence', String(sequence - 1)],
  });
const runningBundle = await release('running', 100);
const goodBundle = await release('good', 200);
const plain =
  'derivation { name = "nixos-system-none"; system = builtins.currentSystem or "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo >$out" ]; }';
const noSystem = await shop.bundle('no-system', {
  hosts: { web: `{ config.system.build.toplevel = ${plain}; }` },
  args: ['--sequence', '209'],
});
const kit: Kit = {
  running: await takeApart(runningBundle),
  good: await takeApart(goodBundle),
  old: await takeApart(await release('old', 50)),
  twin: await takeApart(await release('twin', 100)),
  other: await takeApart(await release('other', 200, 'mail')),
  noSystem: await takeApart(noSystem),
  trusted: await readKey(shop.keys.secretFile),
  stranger: await readKey(stranger.secretFile),
  impostor: await readKey(impostor.secretFile),
};

const fileOf = ({ category, name }: NamedAttack) => join(shop.folder, `${category}-${name}.tar`);
/** Digests of what is in the attacks’ files. Each is made once: what expands without end takes its time. */
const digests = new Map<NamedAttack, string>();
for (const attack of attacks) {
  const bytes = await attack.make(kit);
  await writeFile(fileOf(attack), bytes);
  digests.set(attack, sha256(bytes));
}

/**
 * From being dropped until being refused, and moved away. Milliseconds; on a machine that is slow, as long as a genuine
 * bundle takes twice.
 */
const mostTime = 2000;
/** What of it the agent waits by its settings, for files that are short or at fault: they may still be being copied. */
const patience = 0.3;
/** Resident memory of the agent after all of it. Bytes. */
const mostMemory = 300 * 1024 ** 2;

const outcomes: Record<string, unknown>[] = [];

/** A threshold needs as many keys, of people who have signed nothing here. */
const trustedUnder = (policy: string) =>
  policy.includes('threshold') ? [shop.keys.publicKey, stranger.publicKey] : [shop.keys.publicKey];

test('the tools forge nothing by themselves: what is put together unchanged is the genuine bundle', () => {
  assert.ok(assemble(kit.good).equals(kit.good.whole));
  assert.ok(withHeader(kit, {}).equals(kit.good.whole));
  assert.ok(rebuilt(kit, {}).equals(kit.good.whole));
  assert.ok(
    rebuilt(kit, { lines: linesOf(kit.good) }).equals(kit.good.whole),
    'also where it is signed anew',
  );
  assert.ok(freshLines(kit).length >= 2, 'there are paths to lie about that the target does not have');
});

test('no two attacks are the same file', () => {
  const made = attacks.map((a) => `${digests.get(a)} ${JSON.stringify(a.policy)}`);
  assert.equal(new Set(made).size, attacks.length);
});

test('of every attack there is a control, the same but for the one thing, and the target takes it', async () => {
  const faults: string[] = [];
  for (const attack of attacks) {
    const { category, name, control, policy = {}, controlPolicy = policy } = attack;
    const bytes = await control(kit);
    const keys = trustedUnder(JSON.stringify(controlPolicy));
    const answer = await answerOf(bytes, kit, { keys, policy: controlPolicy });
    if (answer !== undefined) faults.push(`${category}/${name}: ${answer.code}: ${answer.detail}`);
    if (policy === controlPolicy && sha256(bytes) === digests.get(attack))
      faults.push(`${category}/${name}: it is its own control`);
  }
  assert.deepEqual(faults, []);
});

test('of what can be seen before anything is imported, every attack is refused as it has to be', async () => {
  const faults: string[] = [];
  for (const attack of attacks) {
    const { category, name, policy = {}, refusedAs, because, onlyAtTarget } = attack;
    if (onlyAtTarget === true) continue;
    const keys = trustedUnder(JSON.stringify(policy));
    const answer = await answerOf(await readFile(fileOf(attack)), kit, { keys, policy });
    if (answer === undefined || !refusedAs.includes(answer.code) || !because.test(answer.detail))
      faults.push(`${category}/${name}: ${answer?.code}: ${answer?.detail}`);
  }
  assert.deepEqual(faults, []);
});

/** At the command line and at an agent they take turns, a second for each. */
const mineOf = (of: readonly NamedAttack[]) => of.filter((_, i) => isItsTurn(i));

/** Every file of the target but what is nixmaker’s to write: inbox, state, and what Nix keeps beside its store. */
async function filesOutside(target: Target): Promise<string[]> {
  const listed = await run('find', [
    target.root,
    '(',
    ...[target.inbox, target.stateDirectory, join(target.root, 'runtime'), join(target.root, 'nix')].flatMap(
      (p) => ['-path', p, '-o'],
    ),
    '-false',
    ')',
    '-prune',
    '-o',
    '-print',
  ]);
  return listed.stdout
    .split('\n')
    .filter(Boolean)
    .map((path) => relative(target.root, path))
    .sort();
}

const groups = Map.groupBy(attacks, (attack) => JSON.stringify(attack.policy ?? {}));

for (const [policy, mine] of groups) {
  describe(policy === '{}' ? 'against a target that trusts one key' : `under the policy ${policy}`, () => {
    let target: Target;
    let agent: RunningAgent;
    let paths: string[];
    let files: string[];
    let allowed = mostTime;

    before(async () => {
      target = await makeTarget(join(shop.folder, `target-${outcomes.length}`), {
        host: 'web',
        trustedKeys: [shop.keys.publicKey],
        settings: { inboxPatience: patience },
      });
      const begun = performance.now();
      assert.equal((await target.verb('switch', ['--tarball', runningBundle])).code, 0);
      allowed = Math.max(mostTime, 2 * (performance.now() - begun));
      const file = JSON.parse(await readFile(target.policyFile, 'utf8')) as Record<string, unknown>;
      const trustedKeys = trustedUnder(policy);
      await writeFile(target.policyFile, JSON.stringify({ ...file, trustedKeys, ...JSON.parse(policy) }));
      paths = await target.validPaths();
      files = await filesOutside(target);
      agent = await target.startAgent();
    });
    after(() => target.close());

    for (const attack of mineOf(mine)) {
      test(`${attack.category}: ${attack.name}`, async () => {
        const path = fileOf(attack);
        const name = basename(path);
        if (attack.onlyAtTarget !== true) {
          const verified = await target.nixmaker([
            'verify',
            '--key',
            shop.keys.publicKey,
            '--host',
            'web',
            '--json',
            path,
          ]);
          assert.equal(verified.code, 65, verified.stdout + verified.stderr);
          const { code, detail } = JSON.parse(verified.stdout) as { code: string; detail: string };
          assert.ok(attack.refusedAs.includes(code), `verify: ${code}`);
          assert.match(detail, attack.because);
        }
        const system = await target.currentSystem();
        await copyFile(path, join(target.inbox, name));
        const dropped = performance.now();
        const settled = await agent.waitFor(
          (l) => l.event === 'settled' && basename(String(l.bundle)) === name,
        );
        const time = Math.round(performance.now() - dropped);
        const lines = agent.log().filter((l) => l.transaction === settled.transaction);
        const end = lines.find((l) =>
          ['refused', 'failed', 'committed', 'rolled-back'].includes(String(l.event)),
        );
        assert.ok(
          end !== undefined && ['refused', 'failed'].includes(String(end.event)),
          JSON.stringify(lines),
        );
        assert.equal(end.code, attack.refusedAs[0], String(end.detail));
        assert.match(String(end.detail), attack.because);
        const waited = agent.log().some((l) => l.event === 'deferred' && basename(String(l.source)) === name);
        assert.equal(waited, attack.mayStillCome === true);
        const most = allowed + patience * 1000 + (waited ? retryFrom : 0);
        assert.ok(time < most, `refused after ${time} ms`);
        assert.equal(await target.currentSystem(), system);
        const now = await target.validPaths();
        if (attack.mayImport === undefined) assert.deepEqual(now, paths);
        else
          assert.deepEqual(
            now.filter((p) => !paths.includes(p) && !attack.mayImport?.(kit).includes(p)),
            [],
          );
        paths = now;
        const report = await readFile(String(settled.report), 'utf8');
        assert.match(report, /The running system was not changed\./);
        const { category, threat } = attack;
        outcomes.push({ category, name: attack.name, threat, code: end.code, milliseconds: time });
      });
    }

    test('after all of it the agent lives, has written nowhere else, is no larger, and takes the next good bundle', async () => {
      assert.deepEqual(await filesOutside(target), files);
      const status = await readFile(`/proc/${agent.child.pid}/status`, 'utf8');
      const peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
      assert.ok(peak < mostMemory, `the agent has had ${peak} bytes`);
      // Where the policy itself is what refuses a good bundle, there is none to take.
      if (policy === '{}') {
        await copyFile(goodBundle, join(target.inbox, 'good.tar'));
        await agent.waitFor((l) => l.event === 'committed' && l.sequence === 200);
      }
    });
  });
}

test('each whose turn it is has been made, and the outcomes are kept as a table', async () => {
  assert.equal(outcomes.length, [...groups.values()].flatMap(mineOf).length);
  await keepTable('attacks', { cases: outcomes });
});
