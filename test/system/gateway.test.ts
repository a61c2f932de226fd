/**
 * One stick for a network that nobody reaches: three machines, each in a network namespace of its own, fetch from the one that has the
 * stick, and their receipts come home on it.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { main } from '../machines/compiled.ts';
import { mortal, run } from '../machines/program.ts';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { gatewayPort, namespaces } from '../support/network-namespaces.ts';

const shop = await makeWorkshop();
const stick = join(shop.folder, 'stick');
await mkdir(stick);
const hosts = ['web', 'mail', 'db'];
const network = await namespaces(hosts.length);
after(() => network.close());

const targets: Target[] = [];
after(async () => {
  for (const target of targets) await target.close();
});
for (const [i, host] of hosts.entries())
  targets.push(
    await makeTarget(join(shop.folder, host), {
      host,
      trustedKeys: [shop.keys.publicKey],
      policy: { sources: { servers: [{ url: network.urlFor(i) }] } },
      settings: {
        fetchDirectory: join(shop.folder, host, 'fetched'),
        activationDirectory: join(shop.folder, host, 'state'),
      },
    }),
  );

/** The gateway’s own program, in its namespace. */
let gateway: ChildProcess | undefined;
async function startGateway(...args: string[]): Promise<void> {
  const call = network.inGateway([process.execPath, main, 'serve', stick, '--port', gatewayPort, ...args]);
  const [program = '', ...rest] = [...mortal, ...call];
  const child = spawn(program, rest, { stdio: ['ignore', 'inherit', 'pipe'] });
  gateway = child;
  for await (const chunk of child.stderr ?? []) if (String(chunk).includes('"serving"')) return;
  throw new Error('the gateway ended');
}
async function stopGateway(): Promise<void> {
  const ended = once(gateway as ChildProcess, 'exit');
  gateway?.kill('SIGTERM');
  await ended;
}
after(() => gateway?.kill('SIGKILL'));

const put = async (name: string, sequence: number) => {
  const bundles = [];
  for (const host of hosts)
    bundles.push(
      await shop.bundle(`${name}-${host}`, {
        host,
        hosts: { [host]: plainHost(host, `${name} on ${host}`) },
        args: ['--sequence', String(sequence - 1)],
      }),
    );
  const ran = await shop.builder.nixmaker(['put', stick, ...bundles]);
  assert.equal(ran.code, 0, ran.stderr);
};
const fetchIn = async (i: number) => {
  const target = targets[i] as Target;
  const call = [process.execPath, main, 'fetch', '--settings', target.settingsFile, '--json'];
  const ran = await target.run(network.inMachine(i, call));
  assert.equal(ran.code, 0, ran.stderr + ran.stdout);
  return (JSON.parse(ran.stdout) as { servers: { status: string; receipts?: number }[] }).servers[0];
};
const motd = async (i: number) => {
  const system = (await targets[i]?.run(['cat', '/run/current-system/etc/motd']))?.stdout;
  return system?.trim();
};

test('three machines update from one stick, and their receipts come home on it', async () => {
  await put('one', 1);
  await startGateway();
  for (const [i, host] of hosts.entries()) {
    assert.equal((await fetchIn(i))?.status, 'fetched');
    const taken = await targets[i]?.verb('agent', ['--once']);
    assert.equal(taken?.code, 0, taken?.stderr);
    assert.equal(await motd(i), `one on ${host}`);
    assert.deepEqual((await fetchIn(i))?.receipts, 1);
    assert.equal((await fetchIn(i))?.receipts, 0, 'each is sent once');
  }
  await stopGateway();
  assert.equal(gateway?.exitCode, 0);
  const fleet = join(shop.folder, 'fleet');
  const collected = await shop.builder.nixmaker(['collect', stick, '-d', fleet, '--enrol']);
  assert.equal(collected.code, 0, collected.stderr);
  for (const host of hosts) assert.match(collected.stdout, new RegExp(`^${host} +1 +done +new`, 'm'));
});

test('no machine reaches another, or anything but the gateway', async () => {
  const ran = await targets[0]?.run(network.inMachine(0, ['ip', 'route', 'show', 'table', 'all', 'default']));
  assert.equal(ran?.stdout.trim(), '');
});

test('over a link that only goes one way, updates arrive and nothing comes back', async () => {
  // What is behind the diode: a folder that fills from a stream, again and again, from which nobody reads an answer.
  const behind = join(shop.folder, 'behind');
  await mkdir(behind);
  const target = await makeTarget(join(shop.folder, 'diode'), {
    host: 'web',
    trustedKeys: [shop.keys.publicKey],
    policy: { media: { folders: [behind] }, receipts: { send: false } },
    settings: { activationDirectory: join(shop.folder, 'diode', 'state') },
  });
  targets.push(target);
  const send = (bytes: string) =>
    run('sh', [
      '-c',
      'tar -C "$1" -cf - --exclude=./nixmaker/receipts . | head -c "$3" | tar -C "$2" -xf -',
      'sh',
      stick,
      behind,
      bytes,
    ]);
  const take = () => target.verb('agent', ['--once']);
  await send('8192');
  assert.equal((await take()).code, 0);
  assert.equal(await target.currentSystem(), undefined, 'the beginning of it waits');
  assert.equal((await send('100000000')).code, 0);
  assert.equal((await take()).code, 0);
  assert.match((await target.run(['cat', '/run/current-system/etc/motd'])).stdout, /^one on web/);
  assert.equal((await readdir(join(behind, 'nixmaker'))).includes('receipts'), false);
});
