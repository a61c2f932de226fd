/** Root’s own keys: made once, never made anew over one that is damaged, and told of where they are missing. */
import assert from 'node:assert/strict';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { signPath } from '../../../src/signing/path-signature.ts';
import { ensureHostKey, publicText, readHostKey } from '../../../src/target/root/host-key.ts';
import {
  adoptRunningSystem,
  makeStoreKey,
  makeStoreSigner,
  nixTrusts,
  readStoreKey,
} from '../../../src/target/root/store-key.ts';
import { signPaths } from '../../../src/target/root/vouch.ts';
import { indexedPath, indexOf } from '../../support/releases.ts';
import { newSystem, rootInMemory } from '../../support/root-machine.ts';

const modeOf = async (file: string) => (await stat(file)).mode & 0o777;

test('the host’s key is made at the first need, is root’s alone, and stays', async (t) => {
  const { machine } = await rootInMemory(t);
  await assert.rejects(readHostKey(machine), { code: 'usage' });
  const key = await ensureHostKey(machine);
  assert.equal(key.name, 'host-web');
  assert.equal(publicText(await ensureHostKey(machine)), publicText(key));
  assert.equal(await readHostKey(machine), publicText(key));
  assert.equal(await modeOf(join(machine.floorDirectory, 'host.secret')), 0o600);
});

test('a host’s key that is damaged is told of, and no other is made: to the desk it would be another host', async (t) => {
  const { machine } = await rootInMemory(t);
  await ensureHostKey(machine);
  await writeFile(join(machine.floorDirectory, 'host.secret'), 'host-web:AAAA\n');
  await assert.rejects(ensureHostKey(machine), { code: 'key-malformed' });
});

test('without a store key root vouches for nothing; one that is made stays, and nix.conf names it', async (t) => {
  const { machine } = await rootInMemory(t);
  const index = indexOf([indexedPath(1), indexedPath(3, [1, 3])]);
  await assert.rejects(readStoreKey(machine), {
    code: 'nix-key-untrusted',
    detail: 'this machine has no store key to use instead',
  });
  await assert.rejects(signPaths(machine, index), { code: 'nix-key-untrusted' });
  const made = await makeStoreKey(machine);
  assert.match(made, /^nixmaker-store-web-abababab:/);
  assert.equal(await makeStoreKey(machine), made);
  const key = await readStoreKey(machine);
  assert.equal(publicText(key), made);
  assert.equal(await modeOf(join(machine.floorDirectory, 'store.secret')), 0o600);
  const lines = (await signPaths(machine, index)).toString().split('\n');
  assert.deepEqual(lines, [
    key.name,
    ...[0, 1].map((line) => signPath(index.info(line), key).slice(key.name.length + 1)),
    '',
  ]);
});

test('the file for nix.conf is written again where it is gone or says something else', async (t) => {
  const { machine } = await rootInMemory(t);
  const made = await makeStoreKey(machine);
  const names = await import('../../../src/target/machine/store-public-key.ts');
  const file = names.storeKeyConf(machine);
  assert.ok((await readFile(file, 'utf8')).includes(made));
  await rm(file);
  await makeStoreKey(machine);
  assert.ok((await readFile(file, 'utf8')).includes(made));
});

for (const [said, trusts] of [
  ['k:x nixmaker:y', true],
  ['k:x', false],
  ['nixmaker:yy', false],
] as const)
  test(`where Nix trusts “${said}”, nixmaker:y is ${trusts ? '' : 'not '}among them`, async (t) => {
    const { machine } = await rootInMemory(t, { answer: () => ({ stdout: `${said}\n` }) });
    assert.equal(await nixTrusts(machine, 'nixmaker:y'), trusts);
  });

test('only root’s own signature over just this path counts as its word', async (t) => {
  const { machine } = await rootInMemory(t);
  const signer = await makeStoreSigner(machine);
  const key = await readStoreKey(machine);
  const index = indexOf([indexedPath(1), indexedPath(3, [1, 3])]);
  const [info, other] = [index.info(0), index.info(1)];
  const isWanted = signer.wanted(info.path, { ...info, references: [...info.references] });
  const genuine = signPath(info, key);
  assert.equal(isWanted(genuine), true);
  assert.equal(isWanted(signPath(other, key)), false, 'that of another path');
  assert.equal(isWanted(genuine.replace(key.name, 'k')), false, 'the same bytes under another name');
  assert.equal(isWanted(`${genuine} `), false);
  const stored = { narHash: info.narHash, narSize: info.narSize, references: [] };
  assert.equal(signer.counts(info.path, { ...stored, signatures: [] }), false);
  assert.equal(signer.counts(info.path, { ...stored, signatures: [genuine] }), true);
});

test('what runs is adopted once, and not where nothing runs', async (t) => {
  const { machine, events } = await rootInMemory(t);
  await adoptRunningSystem(machine);
  assert.deepEqual(events, [], 'nothing runs that could be adopted');
  const running = await rootInMemory(t, { running: newSystem });
  await writeFile(join(running.machine.floorDirectory, '..', 'x'), '');
  await makeStoreKey(running.machine);
  await writeFile(join(running.machine.floorDirectory, 'store-adopted'), `${newSystem}\n`);
  await adoptRunningSystem(running.machine);
  assert.deepEqual(running.events, [], 'it was adopted before');
});
