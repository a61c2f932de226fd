/** Who reads goes first, or has no room: the verb ends with its own code, and its work is done. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateKeyPair } from '../../src/signing/nix-key.ts';
import { main } from '../machines/compiled.ts';
import { run } from '../machines/program.ts';
import { temporaryFolder } from '../support/bundles.ts';
import { makeDesk } from '../support/desk.ts';
import { plainHost, writeFlake } from '../support/fleet.ts';

/** A line of bash, in which `nixmaker` is the command line. */
const shell = (line: string, ...args: string[]) =>
  run('bash', ['-c', `nixmaker() { "$NODE" "$MAIN" "$@"; }; ${line}`, 'bash', ...args], {
    env: { NODE: process.execPath, MAIN: main },
  });

test('a verb whose output nobody reads says no all the same', async (t) => {
  const file = join(await temporaryFolder(t), 'x.tar');
  await writeFile(file, 'no bundle');
  const closed = '| (exec <&-; sleep 0.2)';
  for (const line of [
    `nixmaker verify "$1" --key "$2" ${closed}; exit \${PIPESTATUS[0]}`,
    'nixmaker verify "$1" --key "$2" 2>&- >&-',
  ])
    assert.equal((await shell(line, file, generateKeyPair('k-1').public)).code, 65, line);
  assert.equal((await shell(`nixmaker --help ${closed}; exit \${PIPESTATUS[0]}`)).code, 0);
});

test('what can’t be written is no success, and said in one line', async () => {
  const ran = await shell('nixmaker --help >/dev/full');
  assert.equal(ran.code, 1);
  assert.match(ran.stderr, /^nixmaker: cannot write to standard output \(ENOSPC\)\n$/);
});

test('a build goes on when nobody reads what it says', async () => {
  const { builder, folder, keys } = await makeDesk();
  const flake = await writeFlake(join(folder, 'unread'), { hosts: { a: plainHost('a'), b: plainHost('b') } });
  const out = join(folder, 'unread-out');
  const line = `"$@" 2> >(exec <&-; sleep 0.2) | (exec <&-; sleep 0.2); exit \${PIPESTATUS[0]}`;
  const command = [
    process.execPath,
    main,
    'build',
    '-f',
    `path:${flake}`,
    '-d',
    out,
    '--key',
    keys.secretFile,
  ];
  const ran = await builder.run(['bash', '-c', line, 'bash', ...command]);
  assert.equal(ran.code, 0, ran.stderr);
  const verified = await builder.nixmaker(['verify', '--key', keys.publicKey, join(out, 'b/b.tar')]);
  assert.equal(verified.code, 0, verified.stderr);
});
