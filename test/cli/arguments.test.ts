/** What is wrong with what was typed: told before any work, by its name, and never as a fault of ours. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readRelease } from '../../src/desk/keys/read-release.ts';
import { makeDesk } from '../support/desk.ts';
import { plainHost, writeFlake } from '../support/fleet.ts';

const { builder, folder, nixmaker } = await makeDesk();
const flake = await writeFlake(join(folder, 'flake'), { hosts: { web: plainHost('web') } });
const out = join(folder, 'out');
const build = (...args: string[]) => nixmaker('build', '-f', `path:${flake}`, '-d', out, ...args);

test('values that no bundle could have are refused before a host is evaluated', async () => {
  for (const [option, value, why] of [
    ['--expires', '2027-02-30', /--expires “2027-02-30T00:00:00Z”: Invalid ISO datetime\n/],
    ['--expires', 'tomorrow', /--expires “tomorrow”: /],
    ['--machine-id', 'ABC', /--machine-id “ABC”: is not a machine id \(32 hexadecimal digits\)/],
    ['--notes', 'a\u001b[2Jb', /--notes “a\\u001b\[2Jb”: holds control characters/],
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
  assert.match(past.stderr, /^warning: --expires 2020-01-31T00:00:00Z is past: every machine will refuse/m);
});

test('files that are not there, of another kind or not ours are named, with the way out and without a stack', async () => {
  const file = join(folder, 'file');
  await writeFile(file, 'x');
  await mkdir(join(folder, 'empty'));
  const missing = /^ {2}\S*nope\S*: there is no such file or folder$/m;
  for (const [args, code, detail] of [
    [['inspect', 'nope.tar'], 64, missing],
    [['verify', 'nope.tar'], 64, missing],
    [['sign', 'nope.tar', '--key', 'nope.secret'], 64, missing],
    [['put', join(folder, 'empty'), 'nope.tar'], 64, missing],
    [['keyring', 'show', 'nope.keyring'], 64, missing],
    [['keygen', 'new', '--out', file], 64, /file: something else of that name is there$/m],
    [['build', '-f', `path:${flake}`, '-d', file], 64, /file: something else of that name is there$/m],
    [['build', '-f', `path:${flake}`, '-d', join(file, 'x')], 64, /x: a part of this path is no folder$/m],
    [['keygen', 'new', '--out', '/proc'], 64, /^ {2}\/proc\/new\.secret: there is no such file or folder$/m],
    [
      ['fleet', '-d', join(folder, 'empty'), '--html', 'nope/x.html'],
      64,
      /there is no such file or folder$/m,
    ],
  ] as const) {
    const ran = await builder.nixmaker(args, { cwd: folder });
    assert.equal(ran.code, code, `${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
    assert.match(ran.stderr, detail);
    assert.match(ran.stderr, /\nCheck the name, .*\n\(no-such-file\)/);
    assert.doesNotMatch(ran.stderr, /^ +at |Please report/m);
  }
});
