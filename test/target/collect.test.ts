/** Nix’s garbage collection as nixmaker asks for it, of a real daemon and by the command line: bounded in bytes and in time. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ProcessRunner } from '../../src/core/ports.ts';
import { parseStorePath, type StorePath } from '../../src/core/store-path.ts';
import { collectGarbage, everything } from '../../src/nix/collect.ts';
import type { NixContext } from '../../src/nix/command.ts';
import { holdPaths } from '../../src/nix/roots.ts';
import { systemClock } from '../../src/process/clock.ts';
import type { Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { Targets } from '../support/targets.ts';

const targets = new Targets(await makeWorkshop());
const mebi = 1024 * 1024;
const minute = 60_000;

/** Paths of a mebibyte that nothing needs. */
async function litter(target: Target, count: number): Promise<StorePath[]> {
  const paths: StorePath[] = [];
  for (let i = 0; i < count; i++) {
    const file = join(target.root, `litter-${i}`);
    await writeFile(file, Buffer.alloc(mebi, i + 1));
    const added = await target.run(['nix-store', '--add', file]);
    assert.equal(added.code, 0, added.stderr);
    paths.push(parseStorePath(added.stdout.trim()) as StorePath);
  }
  return paths;
}

const inside =
  (target: Target): ProcessRunner =>
  async (program, args) => {
    const { code, stdout, stderr } = await target.run([program, ...args]);
    return {
      exitCode: code ?? undefined,
      stdout,
      stderrTail: stderr.split('\n'),
      timedOut: false,
      startError: undefined,
    };
  };

const contexts = {
  'the daemon': (target: Target): NixContext => ({
    run: inside(target),
    store: 'daemon',
    daemonSocket: join(target.root, 'nix/var/nix/daemon-socket/socket'),
  }),
  'the command line': (target: Target): NixContext => ({ run: inside(target), store: 'daemon' }),
};

for (const [by, contextOf] of Object.entries(contexts))
  test(`by ${by}: no more than was asked for, then the rest, and nothing that a root needs`, async () => {
    const { target, one } = await targets.running();
    const context = contextOf(target);
    const kept = await target.run(['nix-store', '--query', '--requisites', one.toplevel]);
    await collectGarbage(context, systemClock, { bytes: everything, time: minute });
    await litter(target, 4);
    const some = await collectGarbage(context, systemClock, { bytes: mebi, time: minute });
    assert.ok(some !== undefined && some.paths >= 1 && some.paths <= 2, JSON.stringify(some));
    assert.ok(some.bytes >= mebi && some.bytes <= 3 * mebi);
    const rest = await collectGarbage(context, systemClock, { bytes: everything, time: minute });
    assert.equal(some.paths + (rest?.paths ?? 0), 4);
    assert.deepEqual(await collectGarbage(context, systemClock, { bytes: everything, time: minute }), {
      paths: 0,
      bytes: 0,
    });
    const valid = await target.validPaths();
    for (const path of kept.stdout.trim().split('\n')) assert.ok(valid.includes(path), path);
  });

test('what is held is not taken, and goes once it is let go', async () => {
  const { target } = await targets.running();
  const context = contexts['the daemon'](target);
  const [mine = '' as StorePath] = await litter(target, 2);
  const { release: letGo } = await holdPaths(context, [mine]);
  await collectGarbage(context, systemClock, { bytes: everything, time: minute });
  assert.ok((await target.validPaths()).includes(mine));
  letGo();
  await collectGarbage(context, systemClock, { bytes: everything, time: minute });
  assert.ok(!(await target.validPaths()).includes(mine));
});

test('where the time is over it ends, the store is whole, and another goes on', async () => {
  const { target } = await targets.running();
  const context = contexts['the daemon'](target);
  await litter(target, 3);
  assert.equal(await collectGarbage(context, systemClock, { bytes: everything, time: 1 }), undefined);
  const verified = await target.run(['nix-store', '--verify', '--check-contents']);
  assert.doesNotMatch(verified.stderr, /modified|disappeared|error/);
  assert.ok((await collectGarbage(context, systemClock, { bytes: everything, time: minute })) !== undefined);
  assert.ok((await target.validPaths()).every((path) => !path.includes('litter')));
});

test('whoever stops waiting for it ends it', async () => {
  const { target } = await targets.running();
  const stop = new AbortController();
  await litter(target, 2);
  const collecting = collectGarbage({ ...contexts['the daemon'](target), signal: stop.signal }, systemClock, {
    ...{ bytes: everything, time: minute },
  });
  stop.abort();
  assert.equal(await collecting, undefined);
});

test('two at once take turns, and both end', async () => {
  const { target } = await targets.running();
  const context = contexts['the daemon'](target);
  await litter(target, 4);
  const [one, other, theirs] = await Promise.all([
    collectGarbage(context, systemClock, { bytes: everything, time: minute }),
    collectGarbage(context, systemClock, { bytes: everything, time: minute }),
    target.run(['nix-collect-garbage', '--delete-old']),
  ]);
  assert.equal(theirs.code, 0, theirs.stderr);
  assert.ok((one?.paths ?? 0) + (other?.paths ?? 0) <= 4);
  assert.ok((await target.validPaths()).every((path) => !path.includes('litter')));
});
