import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { catalogue } from '../../src/core/catalogue.ts';
import { main } from '../machines/compiled.ts';

const checkout = new URL('../..', import.meta.url).pathname;
const read = (path: string) => readFileSync(`${checkout}${path}`, 'utf8');
const tracked = () =>
  execFileSync('git', ['-C', checkout, 'ls-files', '-co', '--exclude-standard'], { encoding: 'utf8' })
    .trimEnd()
    .split('\n');

const locks = [
  'package-lock.json',
  'tools/set-up/toolchain/package-lock.json',
  'tools/site/package-lock.json',
  'tools/set-up/object-store/package-lock.json',
];
for (const lock of locks) {
  test(`every entry of ${lock} says where it comes from and what it must be`, () => {
    const { packages } = JSON.parse(read(lock)) as {
      packages: Record<
        string,
        { resolved?: string; integrity?: string; dev?: boolean; hasInstallScript?: boolean }
      >;
    };
    const entries = Object.entries(packages).filter(([name]) => name !== '');
    assert.ok(entries.length > 0);
    for (const [name, entry] of entries) {
      assert.ok(entry.resolved !== undefined && entry.integrity !== undefined, name);
      if (entry.dev !== true)
        assert.notEqual(entry.hasInstallScript, true, `${name} runs a script when it is installed`);
    }
  });
}

test('no file of sources, tests or tools has grown past 300 lines', () => {
  // The catalogue is one table.
  const sources = tracked().filter(
    (p) => /^(src|test|tools|scripts|bench)\/.*\.ts$/.test(p) && p !== 'src/core/catalogue.ts',
  );
  for (const path of sources) {
    const lines = read(path).split('\n').length;
    assert.ok(lines <= 300, `${path} has ${lines} lines`);
  }
});

test('what is written from the code (docs, manual pages, completions) is up to date', () => {
  const ran = spawnSync(process.execPath, ['tools/docs/main.ts', '--check'], {
    cwd: checkout,
    encoding: 'utf8',
  });
  assert.equal(ran.status, 0, ran.stderr);
});

test('bash completes verbs, nested verbs, options and their values, and starts nothing for it', () => {
  const tried = (...words: readonly string[]) => {
    const script = `source share/bash-completion/completions/nixmaker
      nixmaker() { exit 99; }
      COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); _nixmaker 2>/dev/null; echo "\${COMPREPLY[*]}"`;
    const ran = spawnSync('bash', ['-c', script, 'bash', ...words], { cwd: checkout, encoding: 'utf8' });
    assert.equal(ran.status, 0, ran.stderr);
    return ran.stdout.trim();
  };
  assert.equal(tried('nixmaker', 'bu'), 'build');
  assert.equal(tried('nixmaker', 'keyring', 's'), 'sign show');
  assert.equal(tried('nixmaker', 'keyring', 'sign', '--s'), '--sign-with --ssh-key');
  assert.equal(tried('nixmaker', 'build', '--content', 'd'), 'derivation');
  assert.equal(tried('nixmaker', 'verify', ''), '', 'a bundle is a file, which bash completes itself');
});

test('explain says of every code what happened, whether the system is safe, and what to do', () => {
  const explain = (...args: readonly string[]) =>
    spawnSync(process.execPath, [main, 'explain', ...args], { encoding: 'utf8' });
  const { codes } = JSON.parse(explain('--json').stdout) as { codes: { code: string; what: string }[] };
  const documented = [...read('docs/codes.md').matchAll(/^### `([a-z-]+)`$/gm)].map(([, code]) => code);
  assert.deepEqual(
    codes.map(({ code }) => code),
    documented,
  );
  assert.match(
    explain('sequence-older').stdout,
    /^The bundle is older .*\n.*not changed\.\nNext: .*\nExit code 77\.\n$/s,
  );
  const unknown = explain('sequence-odler');
  assert.deepEqual([unknown.status, /unknown code/.test(unknown.stderr)], [64, true], unknown.stderr);
});

test('every code can come about: some part of the program raises it', () => {
  const tables = new Set(['src/core/catalogue.ts', 'src/core/errors.ts']);
  const sources = tracked().filter((p) => /^src\/.*\.ts$/.test(p) && !tables.has(p));
  const all = sources.map(read).join('\n');
  const idle = Object.keys(catalogue).filter((code) => !all.includes(`'${code}'`));
  assert.deepEqual(idle, []);
});
