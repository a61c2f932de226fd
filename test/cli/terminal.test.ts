/** On a real terminal (script(1)): colours, unless NO_COLOR says no; and only what the locale can show. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateIdentity, recipientOf } from '../../src/bundle/encrypted.ts';
import { main } from '../machines/compiled.ts';
import { run } from '../machines/program.ts';
import { temporaryFolder, writeTestBundle } from '../support/bundles.ts';

const utf8 = { LC_ALL: 'C.UTF-8', TERM: 'xterm' };

/** @returns what the terminal got */
async function onTerminal(args: string, env: Readonly<Record<string, string>>): Promise<string> {
  const line = `stty cols 80; '${process.execPath}' '${main}' ${args}`;
  const { stdout } = await run('script', ['--quiet', '--command', line, '/dev/null'], { env });
  return stdout.replaceAll('\r\n', '\n');
}

const plain = (args: readonly string[], env: Readonly<Record<string, string>>) =>
  run(process.execPath, [main, ...args], { env });

test('a terminal gets colours, a pipe and NO_COLOR none', async () => {
  assert.match(await onTerminal('verify', utf8), /^error: missing/);
  assert.match(await onTerminal('explain nope', utf8), /^\u001b\[31mnixmaker:\u001b\[0m The command/);
  for (const env of [
    { ...utf8, NO_COLOR: '1' },
    { ...utf8, TERM: 'dumb' },
  ])
    assert.match(await onTerminal('explain nope', env), /^nixmaker: The command/);
  assert.match((await plain(['explain', 'nope'], utf8)).stderr, /^nixmaker: The command/);
});

test('quotes and arrows are spelt in ASCII where the locale has no others', async () => {
  for (const env of [utf8, { LC_ALL: '', LC_CTYPE: '', LANG: 'de_DE.utf8' }]) {
    assert.match((await plain(['explain', 'nope'], env)).stderr, /“nope”/);
    assert.match((await plain(['--help'], env)).stdout, /a bundle’s system/);
  }
  for (const env of [
    { LC_ALL: 'C' },
    { LC_ALL: 'POSIX', LANG: 'C.UTF-8' },
    { LC_ALL: '', LC_CTYPE: '', LANG: '' },
  ]) {
    const { stderr } = await plain(['explain', 'nope'], env);
    assert.match(stderr, /unknown code "nope"/);
    for (const { stdout } of [await plain(['--help'], env), await plain(['explain'], env)])
      assert.match(stdout, /^[\u0000-\u007f]*$/);
  }
  const { stdout } = await plain(['explain', 'keyring-untrusted', '--json'], { LC_ALL: 'C' });
  assert.match(stdout, /keyring’s own keys/, 'JSON is UTF-8 anywhere (RFC 8259)');
});

test('the path of a file that was written is the same in any locale: another command gets it', async (t) => {
  const bundle = join(await temporaryFolder(t), 'Schiff – “Anna”.tar');
  await writeTestBundle(bundle);
  const to = await recipientOf(await generateIdentity());
  for (const env of [utf8, { LC_ALL: 'C' }])
    assert.equal((await plain(['encrypt', '--to', to, bundle], env)).stdout, `${bundle}.age\n`);
});
