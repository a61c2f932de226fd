/** The daemon that is kept for a command: what it can’t answer is left to programs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeptDaemon } from '../../src/nix/kept-daemon.ts';
import { talkToProgram } from '../../src/process/run.ts';

test('without such a program there is no answer, and nothing is thrown', async () => {
  const daemon = new KeptDaemon((_, args) => talkToProgram('/nowhere/nix-daemon', args));
  assert.equal(await daemon.ask((connection) => connection.validOf([])), undefined);
  await daemon.close();
});

test('one that does not end by itself is ended', async () => {
  const daemon = new KeptDaemon(() => talkToProgram('sleep', ['1000'], 50));
  daemon.start();
  const asked = daemon.ask((connection) => connection.validOf([]));
  await daemon.close();
  assert.equal(await asked, undefined);
});

test('what is no daemon, and one that ends midway, is asked nothing more', async () => {
  for (const program of ['cat', 'true']) {
    const daemon = new KeptDaemon(() => talkToProgram(program, []));
    for (const _ of [1, 2]) assert.equal(await daemon.ask((c) => c.validOf([])), undefined, program);
    await daemon.close();
  }
});

test('nobody waits for ever for an answer, nor once the command was stopped', { timeout: 9000 }, async () => {
  const stopped = new AbortController();
  for (const options of [{ patience: 50 }, { signal: stopped.signal }]) {
    const daemon = new KeptDaemon(() => talkToProgram('sleep', ['1000'], 50), options);
    const asked = daemon.ask((connection) => connection.validOf([]));
    if ('signal' in options) stopped.abort();
    assert.equal(await asked, undefined);
    assert.equal(await daemon.ask((connection) => connection.validOf([])), undefined);
    await daemon.close();
  }
});
