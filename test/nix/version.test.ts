import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ProcessRunner } from '../../src/core/ports.ts';
import { isRecentNix, requireNix } from '../../src/nix/settings.ts';
import { checkout } from '../machines/program.ts';
import { temporaryFolder } from '../support/bundles.ts';

test('a Nix older than the command line that nixmaker speaks is told from one that is not', () => {
  for (const [version, recent] of [
    ['nix-store (Nix) 2.34.8', true],
    ['nix-store (Nix) 2.24.0', true],
    ['nix-store (Nix) 2.23.4', false],
    ['nix-store (Nix) 2.8.0', false],
    ['nix-store (Nix) 3.0.1', true],
    ['nix-store (Lix, like Nix) 2.93.0', true],
    ['nix-store (Determinate Nix 3.4.1) 2.28.2', true],
    ['nix-store (Determinate Nix 3.0.0) 2.23.1', false],
    ['2.34.8', true],
    ['2.18.1', false],
    ['', false],
    ['no version at all', false],
  ] as const)
    assert.equal(isRecentNix(version), recent, version);
});

test('the set-up of a checkout knows Nix, Lix and Determinate Nix', async (t) => {
  const nix = join(await temporaryFolder(t), 'nix');
  await writeFile(nix, '#!/bin/sh\necho "$SAYS"\n');
  await chmod(nix, 0o755);
  // The function alone: the file sets up a whole checkout.
  const script = `eval "$(sed -n '/^nix_is_recent() {/,/^}/p' "$1")"; if nix_is_recent "$2"; then echo yes; else echo no; fi`;
  const tools = join(checkout, 'tools/set-up/tools.sh');
  for (const [says, answer] of [
    ['nix (Nix) 2.34.8', 'yes'],
    ['nix (Nix) 2.23.4', 'no'],
    ['nix (Lix, like Nix) 2.93.0', 'yes'],
    ['nix (Determinate Nix 3.4.1) 2.28.2', 'yes'],
    ['nix (Determinate Nix 3.0.0) 2.23.1', 'no'],
    ['no version at all', 'no'],
  ] as const) {
    const env = { ...process.env, SAYS: says };
    const said = execFileSync('sh', ['-c', script, 'sh', tools, nix], { env, encoding: 'utf8' });
    assert.equal(said.trim(), answer, says);
  }
});

test('a Lix, which has `store ping` and no `store info`, is asked as well', async () => {
  const asked: string[] = [];
  const lix: ProcessRunner = async (_, args, options) => {
    const verb = args[args.indexOf('store') + 1] ?? '';
    asked.push(verb);
    const isKnown = verb === 'ping';
    const said = isKnown ? [] : ["error: 'info' is not a recognised command"];
    for (const line of said) options?.onStderrLine?.(line);
    const stdout = isKnown ? '{"url":"daemon","version":"2.93.0"}' : '';
    return { exitCode: isKnown ? 0 : 1, stdout, stderrTail: said, timedOut: false, startError: undefined };
  };
  await requireNix({ run: lix });
  assert.deepEqual(asked, ['info', 'ping']);
});
