/** How often a target starts Nix, and connects to its daemon: each takes a slow machine a good part of a second. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { main } from '../machines/compiled.ts';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { requireStrace, wholeCalls } from '../support/strace.ts';

const shop = await makeWorkshop();
const targets: Target[] = [];
after(() => Promise.all(targets.map((target) => target.close())));

async function freshTarget(nixKeys = [shop.keys.publicKey]) {
  const root = join(shop.folder, `target-${targets.length}`);
  const nixConf = `!include ${join(root, 'state/store-key.conf')}\n`;
  const trustedKeys = [shop.keys.publicKey];
  const target = await makeTarget(root, { host: 'web', trustedKeys, nixKeys, nixConf });
  targets.push(target);
  return target;
}

const bundle = (sequence: number) =>
  shop.bundle(`n${sequence}`, {
    hosts: { web: plainHost('web', `number ${sequence}`) },
    args: ['--sequence', String(sequence)],
  });

interface Asked {
  /** Programs of Nix’s, with the words that say what for. */
  readonly starts: readonly string[];
  /** To its daemon. */
  readonly connections: number;
}

async function asked(target: Target, ...[verb = '', ...args]: string[]): Promise<Asked> {
  const log = join(target.root, 'strace');
  const flags = ['-f', '-qq', '--seccomp-bpf', '-s', '4096', '-e', 'trace=execve,connect', '-o', log];
  const call = [process.execPath, main, verb, '--settings', target.settingsFile, ...args];
  const ran = await target.run(['strace', ...flags, ...call]);
  assert.equal(ran.code, 0, ran.stderr);
  const starts: string[] = [];
  let connections = 0;
  for (const line of wholeCalls(await readFile(log, 'utf8'))) {
    if (/\bconnect\(.*daemon-socket/.test(line)) connections += 1;
    const [, program = '', words = ''] = /\bexecve\("([^"]+)", \[(.*?)\], .* = 0$/.exec(line) ?? [];
    if (/^nix(-\w+)?$/.test(basename(program))) starts.push(saidIn(basename(program), words));
  }
  return { starts, connections };
}

function saidIn(program: string, words: string): string {
  const all = words.split(', ').map((word) => word.slice(1, -1));
  const own = ['config', '--json', 'store', '--set', '--version', '--switch-generation', 'show'];
  return [program, ...all.filter((word) => own.includes(word))].join(' ');
}

test('a switch starts Nix for its settings and for the profile, and asks its daemon on few connections', async () => {
  await requireStrace();
  const target = await freshTarget();
  const first = await asked(target, 'switch', '--tarball', await bundle(1));
  assert.deepEqual(first.starts, ['nix config show --json', 'nix-env --set']);
  // What holds and compares, the spare one, the import, root’s comparison, and Nix’s own.
  assert.equal(first.connections, 5);
  const second = await asked(target, 'switch', '--tarball', await bundle(2));
  assert.deepEqual(second.starts, first.starts);
  // And once in a machine’s life to sign what runs; each time to tell what changes.
  assert.equal(second.connections, 7);
  assert.deepEqual(await asked(target, 'switch', '--tarball', await bundle(2)), {
    starts: ['nix config show --json'],
    connections: 0,
  });
  assert.deepEqual(await asked(target, 'status'), { starts: [], connections: 0 });
  assert.deepEqual(await asked(target, 'diff'), { starts: [], connections: 1 });
  const doctor = await asked(target, 'doctor');
  assert.deepEqual([...doctor.starts].sort(), ['nix config show --json', 'nix-store --version']);
  assert.equal(doctor.connections, 1);
});

test('an agent sees at each bundle which keys Nix trusts', async () => {
  const target = await freshTarget([]);
  assert.equal((await target.verb('store-key')).code, 0);
  await target.restartDaemon();
  const agent = await target.startAgent();
  const events = async (sequence: number) => {
    const before = agent.log().length;
    await target.run(['cp', await bundle(sequence), join(target.inbox, `${sequence}.part`)]);
    await target.run(['mv', join(target.inbox, `${sequence}.part`), join(target.inbox, 'web.tar')]);
    await agent.waitFor((line) => line.event === 'committed' && agent.log().indexOf(line) >= before);
    return agent.log().slice(before);
  };
  const isVouched = (lines: Awaited<ReturnType<typeof events>>) => lines.some((l) => l.event === 'vouched');
  assert.ok(isVouched(await events(1)), 'Nix trusts nobody who signed it');
  const conf = join(target.root, 'etc/nix.conf');
  const text = await readFile(conf, 'utf8');
  await writeFile(
    conf,
    text.replace(/^trusted-public-keys =.*$/m, `trusted-public-keys = ${shop.keys.publicKey}`),
  );
  await target.restartDaemon();
  assert.ok(!isVouched(await events(2)), 'now it does');
});
