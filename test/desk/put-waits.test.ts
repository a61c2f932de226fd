/** `put --flake` while its medium is busy for long: what is prepared waits, holds up nobody else, and is dropped when it is stopped. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { hostsOf, lockOf } from '../../src/bundle/pool.ts';
import { inTurn, turnIn } from '../../src/files/turn.ts';
import { holdProgram } from '../../src/process/run.ts';
import { main } from '../machines/compiled.ts';
import { makeDesk } from '../support/desk.ts';
import { plainHost, writeFlake } from '../support/fleet.ts';

const { folder, builder, keys } = await makeDesk();
const hosts = ['a', 'b', 'c'];

test('hosts whose turn on the medium has not come leave their folders to others, and are not put once it is stopped', async () => {
  const [medium, out, pid] = ['stick', 'out', 'pid'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await mkdir(hostsOf(medium), { recursive: true });
  const flake = await writeFlake(join(folder, 'flake'), {
    hosts: Object.fromEntries(hosts.map((host) => [host, plainHost(host, 'motd')])),
  });
  const call = ['put', medium, '-f', `path:${flake}`, '-d', out, '--key', keys.secretFile, '--no-cache'];
  // bash, because sh would have its background jobs ignore SIGINT.
  const inBackground = ['bash', '-umc', '"$@" & echo $! >"$0"; wait $!', pid];
  const { ran } = await inTurn({ hold: holdProgram, file: lockOf(medium), verb: 'test' }, async () => {
    const running = builder.run([...inBackground, process.execPath, main, ...call]);
    let isEnded = false;
    running.finally(() => (isEnded = true));
    const recorded = (host: string) => existsSync(join(out, host, 'release/manifest.json'));
    while (!isEnded && !hosts.every(recorded)) await setTimeout(20);
    for (const host of hosts) {
      const turn = { hold: holdProgram, file: turnIn(join(out, host)), verb: 'build', patience: 20 };
      await inTurn(turn, async () => assert.ok(recorded(host)));
    }
    await builder.run(['sh', '-c', 'kill -INT "$(cat "$0")"', pid]);
    return { ran: running };
  });
  const { code, stderr } = await ran;
  assert.equal(code, 130, stderr);
  assert.match(stderr, /1 of 3 bundles had been written/);
  assert.equal((await readdir(hostsOf(medium))).length, 1, 'the one whose turn it was');
});
