/**
 * What an import takes: an agent as installed stays below 128 MiB whatever a bundle holds, and below that and twice the base with a delta;
 * after a cut it reads nothing again that is valid.
 */
import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningAgent } from '../machines/agent.ts';
import { startInstalled } from '../machines/installed.ts';
import { nixSystem } from '../machines/program.ts';
import type { Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop, writeFlake } from '../support/fleet.ts';
import { Targets } from '../support/targets.ts';

const mebi = 1024 * 1024;
const shop = await makeWorkshop();
const targets = new Targets(shop);

const derivation = (name: string, script: string) =>
  `(derivation { name = "${name}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-euc" "${script}" ]; })`;
/** Bytes that do not compress, the same in each release. */
const body = (name: string, mebibytes: number) =>
  derivation(name, `head -c ${mebibytes * mebi} /dev/urandom >$out`);
/** Of sizes that are read at once, and a little larger ones, which come as streams. */
const parts = Array.from({ length: 10 }, (_, i) => `\${${body(`part-${i}`, i % 2 === 0 ? 7 : 9)}}`);
/** Mebibytes, of a path that comes as a delta. */
const largeMebibytes = 40;
const large = (version: string) => {
  const script = `cat \${${body('body', largeMebibytes)}} >$out; printf ${version} >>$out`;
  return `\${${derivation(`large-${version}`, script)}}`;
};

async function release(version: string, ...more: readonly string[]): Promise<string> {
  const hosts = {
    web: `mkSystem { hostName = "web"; motd = "${version} ${parts.join(' ')} ${large(version)}"; }`,
  };
  const flake = await writeFlake(join(shop.folder, 'flakes', version), { hosts });
  const out = join(shop.folder, 'out', version);
  const args = ['--flake', `path:${flake}`, '--dir', out, '--key', shop.keys.secretFile, '--no-cache'];
  const ran = await shop.builder.nixmaker(['build', ...args, ...more]);
  assert.equal(ran.code, 0, ran.stderr);
  return join(out, 'web/web.tar');
}

const one = await release('one', '--sequence', '0');
const two = await release('two', '--sequence', '1', '--since', one);

async function drop(target: Target, bundle: string, name: string): Promise<void> {
  const hidden = join(target.inbox, `.${name}`);
  await copyFile(bundle, hidden);
  await rename(hidden, join(target.inbox, name));
}

async function committed(agent: RunningAgent, sequence: number): Promise<{ paths: number; bytes: number }> {
  const line = await agent.waitFor((l) => l.event === 'committed' && l.sequence === sequence, 300_000);
  return line.imported as { paths: number; bytes: number };
}

/** Mebibytes (proc(5), VmHWM). */
async function peakOf(agent: RunningAgent): Promise<number> {
  const status = await readFile(`/proc/${agent.child.pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

test('an import stays below 128 MiB; a delta adds at most twice its base', async () => {
  const target = await targets.fresh();
  const agent = await startInstalled(target);
  await drop(target, one, 'one.tar');
  await committed(agent, 1);
  const whole = await peakOf(agent);
  assert.ok(whole < 128, `${whole} MiB`);
  await drop(target, two, 'two.tar');
  const { bytes } = await committed(agent, 2);
  assert.ok(bytes > largeMebibytes * mebi, `${bytes} bytes: the large one, restored`);
  const withDelta = await peakOf(agent);
  assert.ok(withDelta < 128 + 2 * largeMebibytes, `${withDelta} MiB`);
  await agent.stop();
});

async function sizes(target: Target): Promise<Map<string, number>> {
  const ran = await target.run(['nix', 'path-info', '--store', 'daemon', '--all', '--json']);
  const infos = JSON.parse(ran.stdout) as Record<string, { narSize: number }>;
  return new Map(Object.entries(infos).map(([path, { narSize }]) => [path, narSize]));
}

const sum = (numbers: Iterable<number>) => [...numbers].reduce((all, n) => all + n, 0);

test('after a cut in the middle of an import only what is not valid yet is read and given to Nix', async () => {
  const target = await targets.fresh();
  const store = join(target.root, 'nix/store');
  await mkdir(store, { recursive: true });
  const agent = await startInstalled(target);
  await drop(target, one, 'one.tar');
  const there = async () => (await readdir(store)).filter((name) => /-part-\d+$/.test(name)).length;
  while ((await there()) < 4) await sleep(5);
  agent.child.kill('SIGKILL');
  await agent.stop();
  const before = await sizes(target);
  assert.ok(before.size >= 3, [...before.keys()].join(' '));
  const again = await startInstalled(target);
  const { bytes } = await committed(again, 1);
  await again.stop();
  const after = await sizes(target);
  assert.ok(before.size < after.size);
  assert.equal(bytes, sum(after.values()) - sum(before.values()));
});
