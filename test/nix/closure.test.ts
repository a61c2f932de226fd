/** What hosts share is asked once for all of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StorePath } from '../../src/core/store-path.ts';
import { queryClosure } from '../../src/nix/closure.ts';
import type { NixContext } from '../../src/nix/command.ts';
import type { DaemonConnection } from '../../src/nix/daemon-connection.ts';
import { KeptDaemon } from '../../src/nix/kept-daemon.ts';
import type { ValidInfo } from '../../src/nix/valid-info.ts';

const path = (name: string) => `/nix/store/${name.repeat(32)}-${name}` as StorePath;
const [shared, below, one, two] = ['s', 'b', '1', '2'].map(path) as [
  StorePath,
  StorePath,
  StorePath,
  StorePath,
];
const references = new Map([
  [one, [shared]],
  [two, [shared, two]],
  [shared, [below]],
  [below, []],
]);

function contextOver(valid: Set<StorePath>) {
  const asked: StorePath[] = [];
  const infosOf = async (paths: readonly StorePath[]) => {
    asked.push(...paths);
    const found = paths.filter((each) => valid.has(each));
    return new Map(
      found.map((each): [StorePath, ValidInfo] => [
        each,
        { narHash: `sha256:${each}`, narSize: 1, references: references.get(each) ?? [], signatures: [] },
      ]),
    );
  };
  const daemon = new KeptDaemon(() => assert.fail('nothing is started'));
  // Answers as a connection would; the protocol itself is for test/system.
  daemon.ask = (question) => question({ infosOf } as unknown as DaemonConnection);
  const run: NixContext['run'] = async () => ({
    exitCode: 1,
    stdout: '',
    stderrTail: ['asked the program'],
    timedOut: false,
    startError: undefined,
  });
  return { context: { run, daemon } as NixContext, asked };
}

test('of a second host only what is its own', async () => {
  const { context, asked } = contextOver(new Set([one, two, shared, below]));
  const first = await queryClosure(context, one);
  assert.deepEqual(first.map((info) => info.path).sort(), [one, shared, below].sort());
  asked.length = 0;
  const second = await queryClosure(context, two);
  assert.deepEqual(second.map((info) => info.path).sort(), [two, shared, below].sort());
  assert.deepEqual(asked, [two]);
  assert.deepEqual(second.find((info) => info.path === shared)?.references, [below]);
});

test('what was not valid is asked again: it may have been built since', async () => {
  const valid = new Set([one, shared]);
  const { context } = contextOver(valid);
  await assert.rejects(queryClosure(context, one), /nix-failed: nix exited with 1/);
  valid.add(below);
  assert.equal((await queryClosure(context, one)).length, 3);
});
