/** Whatever lies in a field, a file’s name, an argument or a message: nothing that a command prints acts on who reads it. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Command } from 'commander';
import pLimit from 'p-limit';
import { makeProgram } from '../../src/cli/program.ts';
import { encodeKeyring } from '../../src/core/policy/keyring.ts';
import { hostReceiptType } from '../../src/core/run/host-receipt.ts';
import { signEnvelope } from '../../src/signing/envelope.ts';
import { addKeyringSignature, unsignedKeyring } from '../../src/signing/keyring.ts';
import { generateKeyPair, parseSecretKey } from '../../src/signing/nix-key.ts';
import { appendJournal } from '../../src/state/journal.ts';
import { main } from '../machines/compiled.ts';
import { run } from '../machines/program.ts';
import { assertHarmless, hostile, hostileName } from '../support/hostile-text.ts';
import { manifestText } from '../support/manifests.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hostile-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const pair = generateKeyPair('host-web');
const nixmaker = (args: readonly string[]) => run(process.execPath, [main, ...args], { cwd: folder });

/** Runs it, for people and for programs. @returns what was printed as JSON */
async function harmless(args: readonly string[], { json = true, code = 0 } = {}): Promise<unknown> {
  const what = args.join(' ');
  const plain = await nixmaker(args);
  assertHarmless(plain.stdout, what);
  assertHarmless(plain.stderr, what);
  assert.equal(plain.code, code, `${what}: ${plain.stdout}${plain.stderr}`);
  if (!json) return undefined;
  const asJson = await nixmaker([...args, '--json']);
  assertHarmless(asJson.stdout, what);
  assertHarmless(asJson.stderr, what);
  const values = asJson.stdout.startsWith('{\n')
    ? JSON.parse(asJson.stdout)
    : asJson.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
  return values;
}

/** Whether a field of it is, for programs, exactly what was hostile. */
const has = (value: unknown): boolean =>
  typeof value === 'string'
    ? value.includes(hostile)
    : typeof value === 'object' && value !== null && Object.values(value).some(has);

function leaves(command: Command, path: readonly string[] = []): { command: Command; path: string[] }[] {
  const here = [...path, command.name()];
  return command.commands.length === 0
    ? [{ command, path: here }]
    : command.commands.flatMap((c) => leaves(c, here));
}

/** Every verb, with something hostile for each argument and each option that takes a value. */
test('whatever a verb is given, what it says of it is harmless', async () => {
  const settings = join(folder, `settings-${hostileName}`);
  // Not to be read, so that no verb does anything on this machine; the name of the key is told.
  await writeFile(settings, `{"x${hostile.replace(/[\u0000-\u001f]/g, '')}": 1}`);
  const verbs = (await makeProgram('0')).commands.flatMap((c) => leaves(c));
  assert.ok(verbs.length > 30);
  const asked: string[][] = [];
  for (const { command, path } of verbs) {
    const values = command.registeredArguments.map((_, i) => join(folder, `${i}-${hostileName}`));
    const takesSettings = command.options.some(({ long }) => long === '--settings');
    const given = takesSettings ? ['--settings', settings] : [];
    const options = command.options.filter((o) => o.required && o.long !== '--settings');
    const withOptions = options.flatMap((o) => [o.long as string, hostile]);
    asked.push([...path, ...given, ...values, ...withOptions]);
  }
  // In commander’s own words.
  asked.push(['verify', hostile, hostile], ['inspect', `--${hostile}`], [hostile], ['build', '--since']);
  const say = pLimit(4);
  const said = await say.map(asked, async (args) => ({ args, ...(await nixmaker(args)) }));
  for (const { args, stdout, stderr, code } of said) {
    assertHarmless(stdout, args.join(' '));
    assertHarmless(stderr, args.join(' '));
    assert.notEqual(code, null);
  }
});

test('a journal with hostile records: events, history, status', async () => {
  const state = join(folder, 'state');
  await mkdir(join(state, 'inbox'), { recursive: true });
  const record = {
    schema: 1,
    at: `2026-11-24${hostile}`,
    transaction: `0123456789ab${hostile}`,
    state: 'refused',
    source: hostile,
    code: hostile,
    detail: hostile,
    sequence: 7,
    toplevel: hostile,
  } as const;
  await appendJournal(state, record);
  await writeFile(join(state, 'inbox', `${hostileName}.tar`), '');
  const file = join(folder, 'settings.json');
  await writeFile(
    file,
    JSON.stringify({
      stateDirectory: state,
      activationDirectory: join(folder, 'activation'),
      runtimeDirectory: join(folder, 'run'),
      inbox: join(state, 'inbox'),
      policyFile: join(folder, `policy-${hostileName}`),
      currentSystem: join(folder, 'none'),
      profile: join(folder, 'no-profile'),
      activation: 'direct',
    }),
  );
  for (const verb of ['events', 'history', 'status'])
    assert.ok(has(await harmless([verb, '--settings', file])), `${verb}: programs get what was there`);
});

test('a medium with hostile names and receipts: inspect, collect, fleet', async () => {
  const medium = join(folder, 'medium');
  const receipts = join(medium, 'nixmaker/receipts/web');
  await mkdir(receipts, { recursive: true });
  await writeFile(join(medium, `${hostileName}.tar`), 'no bundle');
  const run = {
    transaction: `0123456789ab`,
    at: '2026-11-24T00:00:00Z',
    source: hostile,
    state: 'refused',
    code: hostile.slice(0, 64),
    detail: hostile,
    sequence: 7,
  };
  const now = {
    versions: { nixmaker: '1', nixos: hostile, kernel: hostile },
    failedUnits: [hostile],
    space: [],
  };
  const receipt = {
    schema: 1,
    host: 'web',
    hostKey: pair.public,
    number: 1,
    at: hostile.slice(0, 60),
    run,
    now,
    seen: [{ file: hostile, outcome: 'refused', detail: hostile }],
  };
  const text = signEnvelope(
    Buffer.from(JSON.stringify(receipt)),
    hostReceiptType,
    parseSecretKey(pair.secret),
  );
  await writeFile(join(receipts, '1.json'), text);
  await writeFile(
    join(receipts, '2.json'),
    text
      .replace('host-web', JSON.stringify(hostile).slice(1, -1))
      .replace(/"payload":"..../, '"payload":"AAAA'),
  );
  const fleet = join(folder, `fleet-${hostileName}`);
  assert.ok(has(await harmless(['inspect', medium])));
  await harmless(['collect', medium, '-d', fleet, '--enrol'], { code: 65 });
  assert.ok(has(await harmless(['fleet', '-d', fleet])));
});

test('a keyring and a manifest with hostile text: keyring show, sign', async () => {
  const keyring = encodeKeyring({
    schema: 1,
    version: 1,
    hosts: ['web'],
    trustedKeys: [pair.public],
    threshold: 1,
    roles: {},
  });
  const file = join(folder, `${hostileName}.keyring`);
  await writeFile(file, addKeyringSignature(unsignedKeyring(keyring), hostile, 'AAAA'));
  assert.ok(has(await harmless(['keyring', 'show', file])));
  const manifest = join(folder, hostileName, 'manifest.json');
  await mkdir(join(folder, hostileName), { recursive: true });
  // What a manifest may hold: neither controls nor what turns the direction, but tags.
  await writeFile(manifest, manifestText({ notes: 'tags\u{e0041}\u{e007f}\u{e0100}\nforged: yes' }));
  await writeFile(join(folder, 'key.secret'), pair.secret);
  await harmless(['sign', '--key', join(folder, 'key.secret'), '--manifest', manifest], { json: false });
});
