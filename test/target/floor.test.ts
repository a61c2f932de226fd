/** A machine that has forgotten what it has taken, as one whose root file system is in memory: is an older bundle taken? */
import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeWorkshop } from '../support/fleet.ts';
import { Targets, take } from '../support/targets.ts';

const shop = await makeWorkshop();
const targets = new Targets(shop);
const carried = join(shop.folder, 'carried');
await mkdir(carried);
const release = (name: string, sequence: number) => targets.release(name, '--sequence', String(sequence));

test('floor, journal and keys are gone with a restart: no older bundle is taken, a person is told, and brings the floor back', async () => {
  const target = await targets.fresh({ policy: { firstStart: 'no-record', media: { folders: [carried] } } });
  assert.equal((await take(target, 'switch', await release('ten', 10))).state, 'committed');
  assert.equal((await take(target, 'switch', await release('twenty', 20))).state, 'committed');
  const runs = await target.currentSystem();
  await rm(target.stateDirectory, { recursive: true });
  const older = await take(target, 'switch', await release('ten', 10));
  assert.deepEqual([older.state, older.code, older.exit], ['deferred', 'floor-lost', 75]);
  const known = /the record beside the system profile says sequence 21 was taken/;
  assert.match(older.detail ?? '', known);
  // Nor one that is newer, for nobody knows what else is forgotten; wherever it comes from.
  await copyFile(await release('thirty', 30), join(carried, 'thirty.tar'));
  const once = await target.verb('agent', ['--once', '--json']);
  assert.equal(once.code, 75, once.stderr);
  assert.match(once.stderr, /"code":"floor-lost".*"event":"waiting"/);
  await rm(join(carried, 'thirty.tar'));
  // What may never have been meant for it is no reason to call anybody.
  await writeFile(join(carried, 'backup.tar'), '');
  assert.equal((await target.verb('agent', ['--once'])).code, 0);
  await copyFile(await release('thirty', 30), join(target.inbox, 'thirty.tar'));
  assert.equal((await target.verb('agent', ['--once'])).code, 75);
  assert.equal(await target.currentSystem(), runs);
  for (const verb of ['floor', 'status', 'doctor']) {
    const { stdout } = await target.verb(verb);
    const said = stdout.replace(/\s+/g, ' ');
    assert.match(said, known, verb);
    assert.match(said, /nixmaker floor adopt/, verb);
  }
  const adopted = await target.nixmaker(['floor', 'adopt', '--settings', target.settingsFile]);
  assert.match(adopted.stdout, /^The floor is 21 again/, adopted.stderr);
  assert.equal((await take(target, 'switch', await release('ten', 10))).code, 'sequence-older');
  assert.equal((await target.verb('agent', ['--once'])).code, 0);
  assert.equal((await target.verb('floor')).stdout, '31\n');
});

test('state from a backup, which agrees with itself, is not believed against the record', async () => {
  const { target } = await targets.running();
  const kept = join(targets.shop.folder, 'backup');
  assert.equal((await target.run(['cp', '--archive', target.stateDirectory, kept])).code, 0);
  assert.equal((await take(target, 'switch', await release('twenty', 20))).state, 'committed');
  await rm(target.stateDirectory, { recursive: true });
  assert.equal((await target.run(['cp', '--archive', kept, target.stateDirectory])).code, 0);
  const again = await take(target, 'switch', await release('ten', 10));
  assert.deepEqual(
    [again.code, /the floor is \d+, but the record/.test(again.detail ?? '')],
    ['floor-lost', true],
  );
});

test('a machine with generations and no memory is new only where its policy says how that is told', async () => {
  const { target } = await targets.running();
  const profile = '/nix/var/nix/profiles/system';
  // As nixos-rebuild leaves a machine on which nixmaker has taken nothing.
  const others = `mv ${profile}-1-link ${profile}-40-link && ln -sfn system-40-link ${profile}`;
  assert.equal((await target.run(['sh', '-c', others])).code, 0);
  await rm(target.stateDirectory, { recursive: true });
  assert.equal((await target.run(['rm', `${profile}.floor`])).code, 0);
  const doubted = await take(target, 'switch', await release('ten', 10));
  assert.deepEqual([doubted.state, doubted.code], ['deferred', 'floor-lost']);
  assert.match(doubted.detail ?? '', /there is no record of any bundle, but generation 40 exists/);
  const policy = JSON.parse(await readFile(target.policyFile, 'utf8')) as Record<string, unknown>;
  await writeFile(target.policyFile, JSON.stringify({ ...policy, firstStart: 'no-record' }));
  const taken = await take(target, 'switch', await release('ten', 10));
  assert.equal(taken.state, 'committed', taken.detail);
});
