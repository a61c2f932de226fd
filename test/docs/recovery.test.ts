/** docs/recovery.md: one desk and one machine, to which one thing after another happens, in the document’s order. */
import assert from 'node:assert/strict';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { copySample } from '../machines/builder.ts';
import { checkout } from '../machines/program.ts';
import { expectedExit, sceneIn } from '../support/document-scene.ts';
import { type Step, stepsOf } from '../support/document-steps.ts';
import { makeWorkplace } from '../support/fleet.ts';

const place = await makeWorkplace();
const folder = join(place, 'recovery');
const machine = `${folder}-machine`;
const state = join(machine, 'state');
const stick = join(folder, 'stick');
const document = await readFile(join(checkout, 'docs/recovery.md'), 'utf8');

const { run, machine: target } = await sceneIn(place, {
  name: 'recovery',
  host: 'web',
  moreKeys: ['second'],
  policy: { sources: { servers: [{ url: 'http://127.0.0.1:1' }] } },
  replace: [
    ['sudo -u nixmaker-fetch ', ''],
    ['/var/lib/nixmaker/activation', state],
    ['today.json', join(folder, 'today.json')],
  ],
});

async function say(line: string, where: Step['where'] = 'desk', code = expectedExit(line)): Promise<string> {
  const ran = await run({ where, line });
  assert.equal(ran.code, code, `${where}: ${line}\n${ran.said}`);
  return ran.said;
}

/** The commands below a heading, and what must be typed as it is there. */
function stepsBelow(heading: string): Step[] {
  const section = document.split(/^## /m).find((each) => each.startsWith(`${heading}\n`)) ?? '';
  const steps = stepsOf(section);
  assert.ok(steps.length > 0, heading);
  return steps;
}

/** @param before what happens before a command that begins so. @returns what each said */
async function follow(
  heading: string,
  before: Readonly<Record<string, () => Promise<unknown>>> = {},
): Promise<string[]> {
  const said: string[] = [];
  const open = new Map(Object.entries(before));
  for (const { line, where } of stepsBelow(heading)) {
    for (const [start, happens] of open)
      if (line.startsWith(start)) {
        open.delete(start);
        await happens();
      }
    said.push(await say(line, where));
  }
  assert.deepEqual([...open.keys()], [], 'what the document does not have people type');
  return said;
}

const visit = () => say('nixmaker agent --once', 'machine');
const publicKey = async (name: string) => (await readFile(join(folder, `${name}.public`), 'utf8')).trim();
const release = async (number: number, more = '--key fleet-1.secret') => {
  await say(`echo ${number} >machines/release`);
  return say(`nixmaker build -f ./machines -d out --host web ${more}`);
};
const well = (sequence: number) => new RegExp(`^web +well +${sequence} +${sequence} +done`, 'm');

test('every scenario of the document has a test', () => {
  const headings = [...document.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
  assert.deepEqual(headings, [
    'A stick is lost',
    'The gateway died',
    'A machine was restored from a backup',
    'The desk is lost',
    'A key is stolen',
    'Nobody was there for two years',
  ]);
  // Its commands are a recipe’s, and run with it (documents.test.ts).
  assert.match(document.split('## A key is stolen')[1] ?? '', /how-to\.md#replace-a-lost-or-stolen-key/);
});

test('a stick is lost', async () => {
  for (const key of ['fleet-1', 'second']) await say(`nixmaker keygen ${key}`);
  await copySample(join(folder, 'machines'));
  const flake = join(folder, 'machines/flake.nix');
  await writeFile(flake, (await readFile(flake, 'utf8')).replaceAll('first', 'web'));
  await release(1);
  await say('nixmaker put /media/stick out/web/web.tar');
  await visit();
  await say('nixmaker collect /media/stick --enrol');
  await release(2);
  await say('nixmaker put /media/stick out/web/web.tar');
  await visit();
  await rm(join(stick, 'nixmaker'), { recursive: true });
  assert.match(
    await say('nixmaker fleet --stale-after 0.000001'),
    /^web +silent +1 .*\nweb: Not seen for 0 days\./ms,
  );
  const said = await follow('A stick is lost', { 'nixmaker collect': visit });
  assert.match(said.at(-1) ?? '', well(2));
});

test('the gateway died', async () => {
  const said = await follow('The gateway died', {
    'nixmaker put': () => release(3),
    'nixmaker collect': visit,
  });
  assert.match(said[0] ?? '', /source-unreachable/);
  assert.match(said.at(-1) ?? '', well(3));
});

test('a machine was restored from a backup', async () => {
  await cp(state, join(place, 'backup'), { recursive: true });
  for (const number of [4, 5]) {
    await release(number);
    await say('nixmaker put /media/stick out/web/web.tar');
    await visit();
    await say('nixmaker collect /media/stick');
  }
  await rm(state, { recursive: true });
  await cp(join(place, 'backup'), state, { recursive: true });
  await release(6);
  await say('cp out/web/web.tar /var/lib/nixmaker/inbox');
  assert.match(await say('nixmaker agent --once', 'machine', 75), /floor-lost/);
  const said = await follow('A machine was restored from a backup', {
    'rm ': async () => {
      // With its old key: what it says now is not taken for what it said before.
      await visit();
      const collected = await say('nixmaker collect /media/stick', 'desk', 65);
      assert.match(collected, /receipts-went-back/);
      assert.match(await say('nixmaker fleet'), /^web +unknown/m);
    },
  });
  assert.match(said[0] ?? '', /the floor is 3, but the record/);
  assert.match(said.at(-1) ?? '', well(6));
});

test('the desk is lost', async () => {
  for (const gone of ['fleet', 'out', 'stick/nixmaker/receipts'])
    await rm(join(folder, gone), { recursive: true });
  await visit();
  await writeFile(join(folder, 'machines/release'), '7\n');
  const said = await follow('The desk is lost', {
    'nixmaker build': async () => {
      await say('nixmaker build -f ./machines -d low --key fleet-1.secret --host web');
      await say('cp low/web/web.tar /var/lib/nixmaker/inbox/low.tar');
      assert.match(await say('nixmaker agent --once', 'machine', 77), /sequence-older/);
      assert.match(
        await say('nixmaker put /media/stick low/web/web.tar'),
        /skipped: the medium has a newer one/,
      );
    },
  });
  assert.match(said[0] ?? '', /host enrolled/);
  assert.match(said[1] ?? '', well(6));
  await visit();
  await say('nixmaker collect /media/stick');
  assert.match(await say('nixmaker fleet'), well(41));
});

test('nobody was there for two years', async () => {
  for (const key of ['fleet-2', 'fleet-3']) await say(`nixmaker keygen ${key}`);
  // As the module sets it up: Nix knows no key that a keyring brings.
  await say('nixmaker store-key', 'machine');
  await (await target()).restartDaemon();
  const ring = async (version: number, names: readonly string[], signers: readonly string[]) => {
    const trustedKeys = await Promise.all(names.map(publicKey));
    const body = { schema: 1, version, hosts: ['web'], trustedKeys, threshold: 1, roles: {} };
    await writeFile(join(folder, 'keys.json'), JSON.stringify(body));
    await say(`nixmaker keyring make keys.json ${version}.keyring`);
    for (const key of signers) await say(`nixmaker keyring sign --key ${key}.secret ${version}.keyring`);
  };
  await ring(1, ['fleet-2', 'second'], ['fleet-1', 'fleet-2']);
  await ring(2, ['fleet-3', 'second'], ['fleet-2', 'fleet-3']);

  // What it has is expired; then a keyring is left out.
  const policyFile = join(machine, 'etc/policy.json');
  const policy = JSON.parse(await readFile(policyFile, 'utf8')) as Record<string, unknown>;
  const expired = await Promise.all(
    ['fleet-1', 'second'].map(async (name) => ({
      key: await publicKey(name),
      notAfter: '2025-01-01T00:00:00Z',
    })),
  );
  await writeFile(policyFile, JSON.stringify({ ...policy, trustedKeys: expired }));
  await release(8);
  await say('cp out/web/web.tar /var/lib/nixmaker/inbox/web.tar');
  assert.match(await say('nixmaker agent --once', 'machine', 77), /key-not-valid/);
  assert.match(await say('nixmaker keyring accept 1.keyring', 'machine', 65), /keyring-untrusted/);
  await writeFile(join(folder, 'today.json'), JSON.stringify(policy));
  await say('cp out/web/web.tar web.tar');
  const steps = stepsBelow('Nobody was there for two years');
  const last = steps.pop() as Step;
  assert.match(last.line, /^nixmaker switch --policy/);
  await say(last.line, 'machine');
  assert.match(await say('nixmaker floor', 'machine'), /^42$/m);
  await writeFile(policyFile, JSON.stringify(policy));
  assert.match(await say('nixmaker keyring accept 2.keyring', 'machine', 77), /keyring-gap/);

  await mkdir(join(folder, 'base'));
  await release(9);
  await cp(join(folder, 'out/web/web.tar'), join(folder, 'base/web.tar'));
  await release(10, '--key second.secret --since base/web.tar');
  await say('cp out/web/web.tar /var/lib/nixmaker/inbox/web.tar');
  assert.match(await say('nixmaker agent --once', 'machine', 77), /base-missing/);

  await say('echo 11 >machines/release');
  const said: string[] = [];
  for (const { line, where } of steps) said.push(await say(line, where));
  assert.match(said.at(-1) ?? '', /Keyring: +version 2\b/);
  await say('nixmaker collect /media/stick');
  assert.match(await say('nixmaker fleet'), /^web +well /m);
});
