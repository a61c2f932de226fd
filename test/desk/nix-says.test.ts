/** What Nix says of builds that fail, and of such as don’t: the lines a person needs, and never a code by a user’s own words. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { nixSystem } from '../machines/program.ts';
import { makeDesk } from '../support/desk.ts';
import { plainHost, writeFlake } from '../support/fleet.ts';

const { folder, keys, nixmaker } = await makeDesk();

/** A derivation whose builder runs the script. */
const built = (name: string, script: string, more = '') =>
  `derivation { name = "${name}"; system = "${nixSystem}"; builder = "/bin/sh"; ${more} args = [ "-c" ''${script}'' ]; }`;
const top = (expression: string) => `{ config.system.build.toplevel = ${expression}; }`;

async function build(name: string, hosts: Record<string, string>, ...args: string[]) {
  const flake = await writeFlake(join(folder, name), { hosts });
  const out = join(folder, `${name}-out`);
  return nixmaker('build', '-f', `path:${flake}`, '-d', out, '--key', keys.secretFile, ...args);
}

test('of a build that fails the end of its log is shown, by name, and how to see the rest', async () => {
  const broken = built('broken-part', 'echo it burns; for i in 1 2 3; do echo line $i; done; exit 3');
  const ran = await build('log', { web: top(built('whole', 'exit 0', `part = ${broken};`)) });
  assert.equal(ran.code, 1);
  assert.match(
    ran.stderr,
    /Cannot build '\/nix\/store\/\S+-broken-part\.drv'\. Reason: builder failed with exit code 3/,
  );
  assert.match(
    ran.stderr,
    /^ {2}> it burns\n {2}> line 1\n {2}> line 2\n {2}> line 3\n {2}Full log: nix log \S+-broken-part\.drv$/m,
  );
  assert.doesNotMatch(ran.stderr, /dependency failed/, 'that follows from it');
  const all = await build('log', { web: top(built('whole', 'exit 0', `part = ${broken};`)) }, '--verbose');
  assert.match(all.stderr, /dependency failed/);
});

test('of an evaluation that fails the error is shown with its lines, and no trace', async () => {
  const assertions = `throw "\\nFailed assertions:\\n- the first thing\\n- the second thing"`;
  const ran = await build('assertions', {
    web: top(`let f = x: if x == 0 then ${assertions} else f (x - 1); in f 3`),
  });
  assert.equal(ran.code, 1);
  assert.match(ran.stderr, /^ {2}Failed assertions:\n {2}- the first thing\n {2}- the second thing$/m);
  assert.doesNotMatch(ran.stderr, /while calling/);
});

test('words in a user’s text decide nothing', async () => {
  const words = [
    'broken pipe',
    'x: No space left on device',
    'cannot connect to socket',
    'lacks a signature by a trusted key',
  ];
  for (const [i, word] of words.entries()) {
    const ran = await build(
      `words-${i}`,
      {
        thrown: `throw "${word}"`,
        said: top(built('said', `echo "error: ${word}" >&2; exit 1`)),
      },
      '--json',
    );
    const { hosts } = JSON.parse(ran.stdout) as { hosts: { host: string; code: string }[] };
    assert.deepEqual(Object.fromEntries(hosts.map((h) => [h.host, h.code])), {
      said: 'build-failed',
      thrown: 'evaluation-failed',
    });
  }
});

test('what Nix warns of is told once a run, also where all goes well', async () => {
  const host = (name: string) => `builtins.warn "an option of old" (${plainHost(name)})`;
  const ran = await build('warns', { a: host('a'), b: host('b') });
  assert.equal(ran.code, 0, ran.stderr);
  assert.equal(ran.stderr.match(/an option of old/g)?.length, 1, ran.stderr);
  const json = await build('warns', { a: host('a'), b: host('b') }, '--json');
  const { warnings } = JSON.parse(json.stdout) as { warnings: string[] };
  assert.deepEqual(warnings.filter((w) => w.includes('an option of old')).length, 1);
});
