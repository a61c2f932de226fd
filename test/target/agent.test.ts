/** An agent beside others, stopped, killed, and without privileges. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { main } from '../machines/compiled.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { Targets } from '../support/targets.ts';

const shop = await makeWorkshop();
const targets = new Targets(shop);
/** A switch that has begun, and goes on once it is told to. */
const untilGo = 'while [ "${1:-}" != check ] && [ ! -e /run/go ]; do sleep 0.05; done';

test('agent and command line at once: one of them waits', async () => {
  const target = await targets.fresh();
  const slow = await shop.bundle('slow-switch', {
    hosts: { web: plainHost('web', 'slow-switch') },
    switchPrelude: untilGo,
  });
  const agent = await target.startAgent();
  await copyFile(slow, join(target.inbox, 'web.tar'));
  await agent.waitFor((l) => l.event === 'boot-entry');
  const ran = await target.verb('switch', ['--tarball', await targets.release('two', '--sequence', '5')]);
  assert.equal(ran.code, 75, ran.stderr);
  assert.match(ran.stderr, /\(busy\)/);
  await writeFile(join(target.root, 'run/go'), '');
  await agent.waitFor((l) => l.event === 'committed');
  await agent.stop();
});

test('another bundle of that name, brought while the first is being installed, has its own turn', async () => {
  const target = await targets.fresh();
  const slow = await shop.bundle('slow-to-switch', {
    hosts: { web: plainHost('web', 'slow-to-switch') },
    switchPrelude: untilGo,
  });
  const agent = await target.startAgent();
  await copyFile(slow, join(target.inbox, 'web.tar'));
  await agent.waitFor((l) => l.event === 'boot-entry');
  const newer = await targets.release('two', '--sequence', '5');
  assert.ok(
    (await stat(newer)).size < (await stat(slow)).size,
    'its size is no sign that some of it is missing',
  );
  await copyFile(newer, join(target.inbox, '.web.tar'));
  await rename(join(target.inbox, '.web.tar'), join(target.inbox, 'web.tar'));
  await writeFile(join(target.root, 'run/go'), '');
  await agent.waitFor((l) => l.event === 'settled');
  await agent.stop();
  const committed = agent.log().filter((l) => l.event === 'committed');
  assert.deepEqual(
    committed.map((l) => l.sequence),
    [1, 6],
  );
  const waited = agent.log().filter((l) => l.event === 'waiting');
  assert.deepEqual(
    waited.map((l) => [l.code, l.detail]),
    [['unsettled', 'it changed after it was looked at']],
  );
  assert.deepEqual((await readdir(join(target.inbox, 'done'))).sort(), ['web.tar', 'web.tar.txt']);
  assert.match(await readFile(join(target.inbox, 'done/web.tar.txt'), 'utf8'), /^DONE\n.*Generation: +2\n/s);
});

test('an agent told to stop finishes what it has begun, then stops', async () => {
  const target = await targets.fresh();
  const bundle = await shop.bundle('stopping', {
    switchPrelude: untilGo,
  });
  const agent = await target.startAgent();
  await copyFile(bundle, join(target.inbox, 'web.tar'));
  await agent.waitFor((l) => l.event === 'boot-entry');
  const stopping = agent.stop();
  await writeFile(join(target.root, 'run/go'), '');
  await stopping;
  const events = agent.log().map((l) => l.event);
  assert.deepEqual(events.slice(-3), ['committed', 'settled', 'agent-stopped']);
});

test('an agent killed midway does it over when it starts again', async () => {
  const target = await targets.fresh();
  const bundle = await shop.bundle('killed', {
    switchPrelude: untilGo,
  });
  const first = await target.startAgent();
  await copyFile(bundle, join(target.inbox, 'web.tar'));
  await first.waitFor((l) => l.event === 'boot-entry');
  first.child.kill('SIGKILL');
  await writeFile(join(target.root, 'run/go'), '');
  const second = await target.startAgent();
  await second.waitFor((l) => l.event === 'committed');
  assert.equal(await target.profile(), 'system-1-link');
  await second.stop();
});

test('an agent without privileges imports through the daemon, which checks every signature itself', async () => {
  // Nix trusts root here, so that it is the agent's user that counts.
  const target = await targets.fresh({ nixConf: 'trusted-users = root' });
  const own = ['inbox', 'state', 'runtime', 'tmp'].map((name) => join(target.root, name));
  for (const folder of [...own, join(target.root, 'profiles')]) await mkdir(folder, { recursive: true });
  const settings = JSON.parse(await readFile(target.settingsFile, 'utf8')) as Record<string, unknown>;
  await writeFile(
    target.settingsFile,
    JSON.stringify({ ...settings, profile: join(target.root, 'profiles', 'system') }),
  );
  await writeFile(
    join(target.root, 'boot/builder.conf'),
    `profile=${join(target.root, 'profiles', 'system')}\n`,
  );
  await copyFile(await targets.release('unprivileged'), join(target.inbox, 'web.tar'));
  // uid 65534, and nothing but leave to read what lies below folders that are closed to it (the checkout may).
  const asNobody = [
    'setpriv',
    '--reuid',
    '65534',
    '--regid',
    '65534',
    '--clear-groups',
    '--inh-caps',
    '-all,+dac_read_search',
    '--ambient-caps',
    '-all,+dac_read_search',
    '--bounding-set',
    '-all,+dac_read_search',
  ];
  await target.run(['chown', '--recursive', '65534:65534', ...own, join(target.root, 'profiles')]);
  await target.run(['chmod', '0777', join(target.root, 'run'), join(target.root, 'boot')]);
  const info = await target.run([...asNobody, 'nix', 'store', 'info', '--store', 'daemon', '--json']);
  assert.match(info.stdout, /"trusted":false/, info.stderr);
  const ran = await target.run([
    ...asNobody,
    process.execPath,
    main,
    'agent',
    '--once',
    '--settings',
    target.settingsFile,
  ]);
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  assert.match((await target.currentSystem()) ?? '', /nixos-system-web/);
});

test('the store is flushed before an import is recorded', async () => {
  const target = await targets.fresh();
  // The real sync, with a note of what the journal said when it was called.
  const tools = join(target.root, 'tools');
  await mkdir(tools);
  const note = join(target.root, 'synced');
  const script = `#!/bin/sh\nprintf '%s ' "$@" >>${note}; grep -c '"state":"imported"' ${target.stateDirectory}/journal >>${note} || true\nexec /bin/sync "$@"\n`;
  await writeFile(join(tools, 'sync'), script, { mode: 0o755 });
  const ran = await target.verb('switch', ['--tarball', await targets.release('one')], {
    env: { PATH: `${tools}:${process.env.PATH}` },
  });
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(await readFile(note, 'utf8'), /^--file-system \/nix\/store 0\n/);
});

test('agent --once tells a person at a terminal each step in words, and a program JSON', async () => {
  const target = await targets.fresh();
  const once = (...more: string[]) => {
    const call = [process.execPath, main, 'agent', '--once', '--settings', target.settingsFile, ...more];
    return target.run(['script', '--quiet', '--command', call.join(' '), '/dev/null'], {
      env: { TERM: 'xterm', NO_COLOR: '1' },
    });
  };
  await copyFile(await targets.release('one'), join(target.inbox, 'web.tar'));
  const words = (await once()).stdout.replaceAll('\r\n', '\n');
  for (const step of [
    'verified',
    'accepted by the policy',
    'imported into the Nix store',
    'switching',
    'running',
  ])
    assert.match(words, new RegExp(`^web\\.tar: ${step}$`, 'm'));
  assert.match(words, /^DONE\n\nWhat: /m);
  assert.doesNotMatch(words, /"event"|"level"/);
  await copyFile(await targets.release('two', '--sequence', '5'), join(target.inbox, 'web.tar'));
  const json = (await once('--json')).stdout;
  assert.match(json, /"event":"committed"/);
  assert.match(json, /"state": "committed"/);
});
