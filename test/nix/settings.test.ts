/** What Nix is started for, to say how it is configured and whether it answers; and what its daemon says by itself. */
import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ProcessRunner } from '../../src/core/ports.ts';
import type { NixContext } from '../../src/nix/command.ts';
import { encodeNumber, encodeString, messages, protocolVersion } from '../../src/nix/daemon-wire.ts';
import { openDaemon, type Reached, withDaemon, withOpenDaemon } from '../../src/nix/open-daemon.ts';
import {
  currentSystem,
  nixSetting,
  nixVersion,
  openRecentNix,
  pingStore,
  requireNix,
  trustedKeysOf,
} from '../../src/nix/settings.ts';
import { temporaryFolder } from '../support/bundles.ts';

/** Programs that print this, or complain: by their arguments, without flags of ours. */
function programs(says: (asked: string) => string | { error: string }) {
  const asked: string[] = [];
  const run: ProcessRunner = async (program, args, options) => {
    const own = args.slice(program === 'nix' ? 2 : 0);
    const end = own.indexOf('--log-format');
    const words = own.slice(0, end === -1 ? own.length : end).join(' ');
    asked.push(words);
    const said = says(words);
    if (typeof said === 'string')
      return { exitCode: 0, stdout: said, stderrTail: [], timedOut: false, startError: undefined };
    options?.onStderrLine?.(said.error);
    return { exitCode: 1, stdout: '', stderrTail: [said.error], timedOut: false, startError: undefined };
  };
  return { run, asked };
}

const all = JSON.stringify({
  system: { value: 'x86_64-linux', description: 'as Nix 2.34 has it', aliases: [] },
  'trusted-public-keys': { value: ['one-1:AA==', 'two-1:BB=='] },
  'require-sigs': { value: true },
  substituters: { value: '' },
});

test('all settings are asked for at once, and are as Nix prints each of them', async () => {
  const { run, asked } = programs(() => all);
  const context: NixContext = { run, store: 'daemon', settings: {} };
  // Two that ask at the same time wait for one answer.
  const said = await Promise.all([currentSystem(context), trustedKeysOf(context)]);
  assert.deepEqual(said, ['x86_64-linux', ['one-1:AA==', 'two-1:BB==']]);
  assert.equal(await nixSetting(context, 'require-sigs'), 'true');
  assert.equal(await nixSetting(context, 'substituters'), '');
  assert.deepEqual(asked, ['config show --json']);
});

test('the next bundle’s settings are asked for anew; only the system stays what it is', async () => {
  let keys = ['one-1:AA=='];
  const { run, asked } = programs(() =>
    JSON.stringify({ system: { value: 'aarch64-linux' }, 'trusted-public-keys': { value: keys } }),
  );
  const bundle = async () => {
    const context: NixContext = { run, settings: {} };
    assert.equal(await currentSystem(context), 'aarch64-linux');
    return trustedKeysOf(context);
  };
  assert.deepEqual(await bundle(), ['one-1:AA==']);
  keys = ['two-1:BB=='];
  assert.deepEqual(await bundle(), ['two-1:BB==']);
  assert.deepEqual(asked, ['config show --json', 'config show --json']);
});

test('a setting that is not among them, or not of any known kind, is asked for by name', async () => {
  const { run, asked } = programs((words) =>
    words.endsWith('--json')
      ? JSON.stringify({ system: { value: { of: 'another kind' } } })
      : words.endsWith('system')
        ? 'riscv64-linux\n'
        : { error: "error: could not find setting 'fsync-store-paths'" },
  );
  const context: NixContext = { run, settings: {} };
  assert.equal(await currentSystem(context), 'riscv64-linux');
  await assert.rejects(nixSetting(context, 'fsync-store-paths'), { detail: /could not find setting/ });
  assert.deepEqual(asked, ['config show --json', 'config show system', 'config show fsync-store-paths']);
});

for (const [name, answer] of [
  ['knows no --json', { error: "error: unrecognised flag '--json'" }],
  ['prints something else', 'system = i686-linux\n'],
  ['prints another JSON', '["i686-linux"]'],
] as const)
  test(`a Nix that ${name} is asked for each setting by its name`, async () => {
    const { run, asked } = programs((words) => (words.endsWith('--json') ? answer : 'i686-linux\n'));
    const context: NixContext = { run, settings: {} };
    assert.equal(await currentSystem(context), 'i686-linux');
    assert.equal(await nixSetting(context, 'other'), 'i686-linux');
    assert.deepEqual(asked, ['config show --json', 'config show system', 'config show other']);
  });

test('a Nix that is not there is not asked a second time', async () => {
  const starts: string[] = [];
  const run: ProcessRunner = async (program) => {
    starts.push(program);
    return { exitCode: undefined, stdout: '', stderrTail: [], timedOut: false, startError: 'ENOENT' };
  };
  const context: NixContext = { run, settings: {} };
  const unavailable = { code: 'nix-unavailable', detail: /cannot start nix: ENOENT/ };
  await assert.rejects(currentSystem(context), unavailable);
  await assert.rejects(trustedKeysOf(context), unavailable);
  assert.deepEqual(starts, ['nix']);
});

/** Greets, and says of any path asked about that it is not valid: each question is of 24 bytes, each greeting of 32. */
async function daemon(t: TestContext, version: string) {
  const path = join(await temporaryFolder(t), 's');
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.write(Buffer.concat([encodeNumber(0x6478696f), encodeNumber(protocolVersion)]));
    socket.write(Buffer.concat([encodeString(version), encodeNumber(1), encodeNumber(messages.last)]));
    let [bytes, answered] = [0, 0];
    socket.on('data', (chunk) => {
      bytes += chunk.length;
      for (; answered < Math.floor((bytes - 32) / 24); answered++)
        socket.write(Buffer.concat([encodeNumber(messages.last), encodeNumber(0)]));
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => server.close());
  return { daemonSocket: path, sockets };
}

const nobody = programs((words) => assert.fail(`started: ${words}`)).run;

test('a daemon says by itself which Nix it is: no program is started', async (t) => {
  const { daemonSocket, sockets } = await daemon(t, '2.34.8');
  const context: NixContext = { run: nobody, store: 'daemon', daemonSocket };
  await requireNix(context);
  await pingStore(context);
  assert.equal(sockets.length, 2);
  const { nix, close } = await openRecentNix(context);
  await withDaemon({ ...nix, daemonSocket }, (connection) => connection.validOf([]));
  assert.equal(sockets.length, 3, 'checked on the connection that is asked next');
  close();
});

test('a daemon of an old Nix is refused as such', async (t) => {
  const { daemonSocket, sockets } = await daemon(t, '2.18.1');
  const context: NixContext = { run: nobody, store: 'daemon', daemonSocket };
  const tooOld = { code: 'nix-too-old', detail: 'it says “2.18.1”; 2.24 or newer is required' };
  await assert.rejects(requireNix(context), tooOld);
  await assert.rejects(openRecentNix(context), tooOld);
  for (const socket of sockets) if (!socket.destroyed) await new Promise((end) => socket.once('close', end));
});

test('a daemon that does not say which Nix it is: programs are asked, as where there is none', async (t) => {
  const { daemonSocket } = await daemon(t, '');
  for (const socket of [daemonSocket, undefined]) {
    const { run, asked } = programs((words) =>
      words.startsWith('store info') ? '{"url":"daemon"}' : 'nix-store (Nix) 2.30.1\n',
    );
    const context: NixContext = { run, store: 'daemon', daemonSocket: socket };
    await requireNix(context);
    assert.deepEqual(asked, ['store info --json --store daemon', '--version']);
    assert.equal(await nixVersion(context), 'nix-store (Nix) 2.30.1');
  }
});

test('why a daemon can’t be had is told in Nix’s words; one that is back by then is asked at the next try', async () => {
  const daemonSocket = '/nowhere/socket';
  const { run, asked } = programs(() => ({
    error: "error: cannot connect to socket at '/nowhere/socket': No such file or directory",
  }));
  const context: NixContext = { run, store: 'daemon', daemonSocket };
  const said = { code: 'nix-unavailable', detail: /^cannot connect to socket at '\/nowhere\/socket'/ };
  for (const ask of [requireNix, pingStore, openRecentNix]) await assert.rejects(ask(context), said);
  assert.deepEqual(asked, [
    'store info --json --store daemon',
    'store info --store daemon',
    'store info --json --store daemon',
  ]);
  const back = programs(() => '{"version":"2.34.8"}');
  await assert.rejects(openRecentNix({ ...context, run: back.run }), { code: 'nix-unavailable' });
});

test('questions share a connection; who asks meanwhile, or after a failure, has one of their own', async (t) => {
  const { daemonSocket, sockets } = await daemon(t, '2.34.8');
  const ask = (open: Reached['open']) =>
    withDaemon({ daemonSocket, open }, (connection) => connection.validOf([]));
  await withOpenDaemon<Reached, void>({ daemonSocket }, async (outer) => {
    await withOpenDaemon(outer, async (inner) => assert.equal(inner, outer));
  });
  assert.equal(sockets.length, 1);
  const { nix, close } = await openDaemon<Reached>({ daemonSocket });
  for (const _ of [1, 2, 3]) await ask(nix.open);
  assert.equal(sockets.length, 2);
  await Promise.all([ask(nix.open), ask(nix.open)]);
  assert.equal(sockets.length, 3);
  await assert.rejects(
    withDaemon({ ...nix, daemonSocket }, async () => {
      throw new Error('midway');
    }),
    /midway/,
  );
  await ask(nix.open);
  assert.equal(sockets.length, 4);
  close();
});

test('a connection that the daemon has closed is used no more', async (t) => {
  const { daemonSocket, sockets } = await daemon(t, '2.34.8');
  const { nix, close } = await openDaemon<Reached>({ daemonSocket });
  sockets[0]?.destroy();
  while (nix.open?.isUsable === true) await new Promise((next) => setTimeout(next, 5));
  await withDaemon({ ...nix, daemonSocket }, (connection) => connection.validOf([]));
  assert.equal(sockets.length, 2);
  close();
});
