/** What each verb prints with `--json` is what docs/json says, to the last field. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import * as z from 'zod';
import { fileOf, outputs } from '../../tools/docs/json/main.ts';
import { main } from '../machines/compiled.ts';
import { bootLive } from '../machines/live-system.ts';
import { checkout, run } from '../machines/program.ts';
import { makeTarget } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { installableHost } from '../support/installable.ts';

const shop = await makeWorkshop();
const { folder, keys } = shop;
const carried = join(folder, 'carried');
await mkdir(carried);
const target = await makeTarget(join(folder, 'web'), {
  host: 'web',
  trustedKeys: [keys.publicKey],
  policy: { media: { folders: [carried] } },
});
after(() => target.close());

const release = (name: string, sequence: number) =>
  shop.bundle(`json-${name}`, {
    hosts: { web: plainHost('web', name) },
    args: ['--sequence', String(sequence)],
  });
const one = await release('one', 1);
const two = await release('two', 5);

/** A reader may not mind a field that it does not know; here each is to be in the document. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema).map(([key, value]) => [key, closed(value)]);
  const isOpen = 'properties' in schema && !('additionalProperties' in schema);
  return { ...Object.fromEntries(entries), ...(isOpen ? { additionalProperties: false } : {}) };
}

const seen = new Set<string>();

/** @param text of one output */
async function isAsPublished(name: string, text: string): Promise<void> {
  const published = JSON.parse(await readFile(join(checkout, 'docs', fileOf(name)), 'utf8'));
  const parsed = z
    .fromJSONSchema(closed(published) as Parameters<typeof z.fromJSONSchema>[0])
    .safeParse(JSON.parse(text));
  assert.ok(parsed.success, `${name}: ${parsed.error}\n${text}`);
  seen.add(name);
}

const desk = async (name: string, ...args: string[]) =>
  isAsPublished(name, (await shop.builder.nixmaker([...args, '--json'])).stdout);
const machine = async (name: string, verb: string, ...args: string[]) =>
  isAsPublished(name, (await target.verb(verb, [...args, '--json'])).stdout);
const below = (name: string, ...words: string[]) =>
  target
    .nixmaker([...words, '--settings', target.settingsFile, '--json'])
    .then(({ stdout }) => isAsPublished(name, stdout));

test('the desk’s verbs', async () => {
  const flake = `path:${join(folder, 'flakes/json-one')}`;
  const out = join(folder, 'json-out');
  await desk('list', 'list', '-f', flake);
  await desk(
    'build',
    'build',
    '-f',
    flake,
    '-d',
    out,
    '--key',
    keys.secretFile,
    '--notes',
    'n',
    '--host',
    'w*',
  );
  const broken = join(folder, 'broken');
  await mkdir(broken);
  await writeFile(join(broken, 'flake.nix'), '{ outputs = _: { nixosConfigurations.web = throw "no"; }; }');
  await desk('build', 'build', '-f', `path:${broken}`, '-d', out);
  await desk('error', 'build', '-f', flake, '-d', out, '--host', 'nope');
  await desk('keygen', 'keygen', 'json-1', '--out', folder);
  await desk('verify', 'verify', '--key', keys.publicKey, one);
  await desk('error', 'verify', '--key', keys.publicKey, keys.secretFile);
  await desk('inspect', 'inspect', one, '--paths');
  const stick = join(folder, 'stick');
  await mkdir(stick);
  await desk('put', 'put', stick, one, '--plain-folder');
  await desk('inspect-medium', 'inspect', stick);
  const recipient = (await target.verb('age-key')).stdout.trim();
  const copy = join(folder, 'plain.tar');
  await copyFile(one, copy);
  await desk('encrypt', 'encrypt', '--to', recipient, copy);
  for (const args of [['explain'], ['explain', 'no-space']]) await desk('explain', ...args);
  const list = {
    schema: 1,
    version: 1,
    hosts: ['web'],
    trustedKeys: [keys.publicKey],
    threshold: 1,
    roles: {},
  };
  await writeFile(join(folder, 'keys.json'), JSON.stringify(list));
  await shop.builder.nixmaker(['keyring', 'make', join(folder, 'keys.json'), join(folder, '1.keyring')]);
  await shop.builder.nixmaker(['keyring', 'sign', '--key', keys.secretFile, join(folder, '1.keyring')]);
  await desk('keyring', 'keyring', 'show', join(folder, '1.keyring'));
  const known = { host: 'web', serial: 'PF-4711', mac: '52:54:00:12:34:56', machineId: '0'.repeat(32) };
  const hosts = [{ ...known, disks: ['/dev/sda'] }];
  const times = { createdAt: '2026-11-01T00:00:00Z', expiresAt: '2030-01-01T00:00:00Z' };
  await writeFile(
    join(folder, 'hosts.json'),
    JSON.stringify({ schema: 1, ...times, unattended: false, hosts }),
  );
  await shop.builder.nixmaker(['hosts', 'make', join(folder, 'hosts.json'), join(folder, '1.hosts')]);
  await desk('hosts', 'hosts', 'show', join(folder, '1.hosts'));
});

test('a first install', async () => {
  const live = await bootLive(join(folder, 'live'));
  const bundle = await shop.bundle('json-first', { hosts: { web: installableHost(shop, 'first') } });
  const ran = await live.install([bundle, '--key', keys.publicKey, '--receipts', carried, '--json']);
  live.close();
  await isAsPublished('install', ran.stdout);
});

test('a folder that Nix has copied into is packed', async () => {
  const { stdout } = await shop.builder.nixmaker(['inspect', one, '--json']);
  const { toplevel, derivation } = (
    JSON.parse(stdout) as { manifest: { toplevel: string; derivation: string } }
  ).manifest;
  const cache = join(folder, 'cache');
  const copied = await shop.builder.run([
    'nix',
    'copy',
    '--to',
    `file://${cache}?compression=zstd`,
    toplevel,
  ]);
  assert.equal(copied.code, 0, copied.stderr);
  await desk(
    'pack',
    'pack',
    cache,
    '--host',
    'web',
    '--system',
    'x86_64-linux',
    '--toplevel',
    toplevel,
    '--derivation',
    derivation,
    '-d',
    join(folder, 'packed'),
  );
});

test('the machine’s verbs, before and after bundles', async () => {
  await machine('status', 'status');
  await machine('floor', 'floor');
  await machine('check-policy', 'check-policy', target.policyFile);
  await machine('check-bundle', 'check-policy', target.policyFile, one);
  await machine('inspect-policy', 'inspect', '--policy', target.policyFile, join(folder, 'stick'));
  for (const [verb, path] of [
    ['dry-activate', one],
    ['switch', one],
    ['switch', one],
    ['boot', two],
  ] as const)
    await machine('receipt', verb, path);
  await machine('repair', 'repair');
  await machine('diff', 'diff');
  await machine('fetch', 'fetch', 'http://127.0.0.1:1');
  for (const name of ['status', 'history', 'doctor', 'age-key', 'store-key']) await machine(name, name);
  const { stdout: events } = await target.verb('events', ['--json']);
  for (const line of events.trim().split('\n')) await isAsPublished('event', line);
  await machine('error', 'confirm');
  await machine('receipt', 'rollback');
  await machine('confirm-nothing', 'confirm');
  const asks = target.verb('ask');
  let answered = await target.verb('approve', ['--json']);
  while (answered.code !== 0) answered = await target.verb('approve', ['--json']);
  await isAsPublished('approve', answered.stdout);
  assert.equal((await asks).code, 0);
  await machine('hold', 'hold', '20');
  await machine('status', 'status');
  await machine('release', 'release', '--all');
  await machine('floor', 'floor');
  for (const copy of ['a', 'b']) await writeFile(join(target.stateDirectory, `floor.${copy}`), 'no floor');
  await machine('floor', 'floor');
  await machine('status', 'status');
  await below('floor-adopt', 'floor', 'adopt');
  await below('keyring-accept', 'keyring', 'accept', join(folder, '1.keyring'));
});

test('receipts that came home', async () => {
  await copyFile(await release('three', 30), join(carried, 'web.tar'));
  const ran = await target.verb('agent', ['--once', '--json']);
  await isAsPublished('receipt', ran.stdout);
  // Made for its first receipt.
  await machine('host-key', 'host-key');
  const fleet = join(folder, 'fleet');
  await desk('fleet', 'fleet', '-d', fleet);
  await desk('collect', 'collect', carried, '-d', fleet);
  await desk('collect', 'collect', carried, '-d', fleet, '--enrol');
  await desk('fleet-keys', 'fleet', 'keys', '-d', fleet);
  await run(process.execPath, [main, 'fleet', 'retire', 'old', '-d', fleet, '--reason', 'gone']);
  await desk('fleet', 'fleet', '-d', fleet);
});

test('each document in docs/json was compared with what is printed', () => {
  assert.deepEqual(
    Object.keys(outputs).filter((name) => !seen.has(name)),
    [],
  );
});
