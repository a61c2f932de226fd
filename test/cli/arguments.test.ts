/** What is wrong with what was typed: told before any work, by its name, and never as a fault of ours. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { catalogue } from '../../src/core/catalogue.ts';
import { atTheDesk } from '../../src/core/catalogue-desk.ts';
import type { ReasonCode } from '../../src/core/errors.ts';
import { readAnyHead, readRelease } from '../../src/desk/keys/read-release.ts';
import { parseSignatureFile } from '../../src/signing/signature-file.ts';
import { main } from '../machines/compiled.ts';
import { writeTestBundle } from '../support/bundles.ts';
import { makeDesk } from '../support/desk.ts';
import { plainHost, writeFlake } from '../support/fleet.ts';

const { builder, folder, keys, nixmaker } = await makeDesk();
const flake = await writeFlake(join(folder, 'flake'), { hosts: { web: plainHost('web') } });
const out = join(folder, 'out');
const build = (...args: string[]) => nixmaker('build', '-f', `path:${flake}`, '-d', out, ...args);

test('values that no bundle could have are refused before a host is evaluated', async () => {
  for (const [option, value, why] of [
    ['--expires', '2027-02-30', /--expires “2027-02-30T00:00:00Z”: Invalid ISO datetime\n/],
    ['--expires', 'tomorrow', /--expires “tomorrow”: /],
    ['--machine-id', 'ABC', /--machine-id “ABC”: is not a machine id \(32 hexadecimal digits\)/],
    ['--notes', 'a\u001b[2Jb', /--notes “a\\u001b\[2Jb”: contains control characters/],
    ['--downgrade-from', '1', /--downgrade-from 1 is not above the sequence, which is at least 1/],
  ] as const) {
    const ran = await build(option, value);
    assert.equal(ran.code, 64, ran.stdout + ran.stderr);
    assert.match(ran.stderr, why);
    assert.match(ran.stderr, /\(usage\)/);
    assert.doesNotMatch(ran.stderr, /evaluating/);
    assert.ok(!existsSync(out));
  }
});

test('a date without a time is its beginning, and one that is past is said', async () => {
  const ran = await build('--expires', '2027-01-31');
  assert.equal(ran.code, 0, ran.stderr);
  assert.doesNotMatch(ran.stderr, /past/);
  const { manifest } = await readRelease(join(out, 'web/web.tar'));
  assert.equal(manifest.expiresAt, '2027-01-31T00:00:00Z');
  const past = await build('--expires', '2020-01-31');
  assert.equal(past.code, 0, past.stderr);
  assert.match(
    past.stderr,
    /^warning: --expires 2020-01-31T00:00:00Z is in the past: every machine will refuse/m,
  );
});

test('files that are not there, of another kind or not ours are named, with the way out and without a stack', async () => {
  const file = join(folder, 'file');
  await writeFile(file, 'x');
  await mkdir(join(folder, 'empty'));
  const missing = /^ {2}\S*nope\S*: no such file or folder$/m;
  for (const [args, code, detail] of [
    [['inspect', 'nope.tar'], 64, missing],
    [['verify', 'nope.tar'], 64, missing],
    [['sign', 'nope.tar', '--key', 'nope.secret'], 64, missing],
    [['put', join(folder, 'empty'), 'nope.tar'], 64, missing],
    [['keyring', 'show', 'nope.keyring'], 64, missing],
    [['switch', '--tarball', 'nope.tar'], 64, missing],
    [['keygen', 'new', '--out', file], 64, /file: something else already has this name$/m],
    [['build', '-f', `path:${flake}`, '-d', file], 64, /file: something else already has this name$/m],
    [['build', '-f', `path:${flake}`, '-d', join(file, 'x')], 64, /x: part of this path is not a folder$/m],
    [['keygen', 'new', '--out', '/proc'], 64, /^ {2}\/proc\/new\.secret: no such file or folder$/m],
    [['fleet', '-d', join(folder, 'empty'), '--html', 'nope/x.html'], 64, /no such file or folder$/m],
  ] as const) {
    const ran = await builder.nixmaker(args, { cwd: folder });
    assert.equal(ran.code, code, `${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
    assert.match(ran.stderr, detail);
    assert.match(ran.stderr, /\nCheck the name, .*\n\(no-such-file\)/);
    assert.doesNotMatch(ran.stderr, /^ +at |Please report/m);
  }
});

test('a folder that is named without its ./ is not waited for as a name of the registry', async () => {
  for (const verb of ['list', 'build']) {
    const ran = await builder.nixmaker([verb, '-f', 'flake', '-d', out], { cwd: folder });
    assert.equal(ran.code, 64, ran.stderr);
    assert.match(
      ran.stderr,
      /write “\.\/flake” for the folder, or “flake:flake” for the registry entry\n.*\(usage\)/s,
    );
  }
});

test('of several bundles one that is signed already keeps none of the others from being signed', async () => {
  const bundles = ['a.tar', 'b.tar', 'c.tar'].map((name) => join(folder, name));
  for (const [i, path] of bundles.entries()) await writeTestBundle(path, { manifest: { sequence: i + 1 } });
  const [a = '', b = '', c = ''] = bundles;
  await nixmaker('sign', a, '--key', keys.secretFile);
  const ran = await nixmaker('sign', a, 'nope.tar', b, c, '--key', keys.secretFile);
  assert.equal(ran.code, 64, ran.stderr);
  assert.match(ran.stderr, /a\.tar: not signed: “fleet-1” has already signed this bundle\n/);
  assert.match(ran.stderr, /nope\.tar: not signed: .*no such file or folder\n/);
  for (const path of [b, c]) {
    const { signatureBytes } = await readAnyHead(path);
    assert.ok(parseSignatureFile(signatureBytes).some(({ keyName }) => keyName === 'fleet-1'));
  }
});

test('hosts are listed as people count', async () => {
  const hosts = Object.fromEntries(['host-10', 'host-2', 'host-1'].map((name) => [name, plainHost(name)]));
  const many = await writeFlake(join(folder, 'many'), { hosts });
  const ran = await nixmaker('list', '-f', `path:${many}`);
  assert.deepEqual(ran.stdout.match(/host-\d+/g), ['host-1', 'host-2', 'host-10']);
});

test('what is the same of several hosts that fail is said once', async () => {
  const broken = '(throw "the module has no such option")';
  const other = '(throw "something else")';
  const hosts = { 'host-10': broken, 'host-2': broken, 'host-1': broken, other };
  const failing = await writeFlake(join(folder, 'failing'), { hosts });
  const ran = await nixmaker('build', '-f', `path:${failing}`, '-d', join(folder, 'failing-out'));
  assert.equal(ran.code, 1);
  const said = [...ran.stderr.matchAll(/^(.+): The flake could not be evaluated\.\n {2}(.*)$/gm)];
  assert.deepEqual(
    said.map(([, who, why]) => `${who}: ${why}`),
    ['host-1, host-2 and host-10: the module has no such option', 'other: something else'],
  );
});

test('verbs of a machine say at a desk what is not here', async () => {
  for (const [args, said] of [
    [['diff'], /no NixOS system runs here \(\/run\/current-system\); run this at the machine it is for\n/],
    [['diff', 'nope.tar'], /nope\.tar: no such file or folder\n/],
    [['doctor'], /A desk needs no policy: run this command at the machine it is about\.\n\(policy-missing\)/],
  ] as const) {
    const ran = await builder.nixmaker([...args], { cwd: folder });
    assert.notEqual(ran.code, 0);
    assert.match(ran.stderr, said);
  }
});

test('what is to be done differs at the desk, and each verb tells its own side’s', async () => {
  const list = [process.execPath, main, 'list', '-f', `path:${flake}`];
  const ran = await builder.run(['env', `PATH=${join(folder, 'no-nix')}`, ...list]);
  assert.match(ran.stderr, /run the command again\.\n\(nix-unavailable\)/);
  const explained = await nixmaker('explain', 'nix-unavailable');
  assert.match(explained.stdout, /^Next: .*is retried\.\n.*\nAt the desk: .*run the command again\.$/m);
  const both = Object.entries(atTheDesk).map(([code, texts]) => ({
    ...catalogue[code as ReasonCode],
    texts,
  }));
  for (const { what, next, texts } of both) {
    assert.ok(texts.what !== what && texts.next !== next, 'what is the same is not written twice');
    assert.doesNotMatch(`${texts.what} ${texts.next}`, /this machine|retried|stays where it is/);
  }
});
