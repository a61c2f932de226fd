/** What people and their programs are told at the target: status, diff, doctor, events, metrics. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { main } from '../machines/compiled.ts';
import { checkout } from '../machines/program.ts';
import { makeTarget, type Target, type TargetOptions } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const shop = await makeWorkshop();
const targets: Target[] = [];
after(() => Promise.all(targets.map((target) => target.close())));

async function freshTarget(options: Partial<TargetOptions> = {}): Promise<Target> {
  const root = join(shop.folder, `target-${targets.length}`);
  const target = await makeTarget(root, { host: 'web', trustedKeys: [shop.keys.publicKey], ...options });
  targets.push(target);
  return target;
}

const release = (name: string, version: string) =>
  shop.bundle(name, {
    hosts: { web: plainHost('web', name).replace('{', `{ version = "${version}";`) },
    args: ['--sequence', name === 'one' ? '1' : '2'],
  });

/** A line of the journal’s form, whatever is in it. */
function checksummed(json: string): string {
  return `${createHash('sha256').update(json).digest('hex').slice(0, 16)} ${json}\n`;
}

/** Both copies. */
async function damageFloor({ stateDirectory }: Target): Promise<void> {
  for (const name of ['floor.a', 'floor.b']) await writeFile(join(stateDirectory, name), 'no floor');
}

interface Told {
  readonly state: string;
  readonly code?: string;
  readonly changes?: readonly string[];
}

async function take(target: Target, path: string): Promise<Told> {
  const ran = await target.verb('switch', ['--tarball', path, '--json']);
  return JSON.parse(ran.stdout) as Told;
}

const target = await freshTarget();
assert.equal((await take(target, await release('one', '1.0'))).state, 'committed');

test('diff says what a bundle brings before it is taken, and the receipt what it changed', async () => {
  const two = await release('two', '2.0');
  const before = await target.verb('diff', [two]);
  assert.equal(before.code, 0, before.stderr);
  assert.match(before.stdout, /^ {2}nixos-system-web 1\.0 → 2\.0$/m);
  assert.match(before.stdout, /^ {2}sample-base 1\.0 → 2\.0$/m);
  assert.match(before.stdout, /^size: /m);
  assert.match(before.stderr, /Nothing was verified/);
  const taken = await take(target, two);
  assert.equal(taken.state, 'committed');
  assert.ok(taken.changes?.includes('  nixos-system-web 1.0 → 2.0'), JSON.stringify(taken.changes));
  // Nothing was booted in a sandbox, so only the running system can tell that the kernel differs.
  assert.ok(taken.changes?.some((line) => /takes effect after a restart: .*kernel/.test(line)));
  const same = JSON.parse((await target.verb('diff', ['--json'])).stdout) as Record<string, unknown>;
  assert.deepEqual([same.packages, same.rebuilt, same.units], [[], 0, []]);
  const wrong = await target.verb('diff', ['/etc/hostname-that-is-not']);
  assert.equal(wrong.code, 64, wrong.stderr);
});

test('status fits a terminal, and gives the reason of a refusal, that it is safe, and what to do', async () => {
  const other = await freshTarget({ host: 'db' });
  const ran = await other.verb('switch', ['--tarball', await release('one', '1.0')]);
  assert.notEqual(ran.code, 0);
  const status = await other.verb('status');
  assert.match(status.stdout, /^Last bundle:\s+refused \(wrong-host\)/m);
  assert.match(status.stdout, /^What:\s+\S/m);
  assert.match(status.stdout, /^Next:\s+\S/m);
  const words = status.stdout.split('\n').filter((line) => line.length > 80 && !/\/\S{40}/.test(line));
  assert.deepEqual(words, [], 'only what is to be copied may be longer than 80 columns');
  const json = JSON.parse((await other.verb('status', ['--json'])).stdout) as { last: Told; health?: string };
  assert.equal(json.last.code, 'wrong-host');
});

test('status --watch and events --follow tell what happens while it happens', async () => {
  const fresh = await freshTarget();
  const follow = (verb: string) => {
    const how = verb === 'status' ? '--watch' : '--follow';
    const call = [process.execPath, main, verb, how, '--json', '--settings', fresh.settingsFile];
    const [program, ...args] = fresh.command(call);
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...fresh.env },
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
    const seen = async (pattern: RegExp) => {
      while (!pattern.test(text)) await once(child.stdout, 'data', { signal: AbortSignal.timeout(30_000) });
    };
    return { child, seen, lines: () => text.split('\n').filter((line) => line !== '') };
  };
  const status = follow('status');
  const events = follow('events');
  await status.seen(/"schema":1/);
  await take(fresh, await release('one', '1.0'));
  await events.seen(/"state":"committed"/);
  await status.seen(/"state":"committed"/);
  const states = events.lines().map((line) => (JSON.parse(line) as Told).state);
  assert.deepEqual(
    states.filter((s) => ['discovered', 'verified', 'imported', 'committed'].includes(s)),
    ['discovered', 'verified', 'imported', 'committed'],
  );
  for (const { child } of [status, events]) {
    child.kill('SIGTERM');
    const [code] = (await once(child, 'close')) as [number | null];
    assert.equal(code, 0);
  }
});

test('doctor finds nothing that keeps a sound machine from taking bundles, and says what of it could be better', async () => {
  const ran = await target.verb('doctor', ['--json']);
  const { ok, checks } = JSON.parse(ran.stdout) as {
    ok: boolean;
    checks: { check: string; verdict: string; what: string; next?: string }[];
  };
  const bad = checks.filter((c) => c.verdict === 'bad');
  assert.deepEqual([ok, bad, ran.code], [true, [], 0]);
  const durable = checks.find((c) => c.check === 'durable');
  assert.equal(durable?.verdict, 'look');
  assert.match(durable?.next ?? '', /fsync-store-paths/);
  for (const { verdict, next } of checks) assert.equal(next === undefined, verdict === 'ok');
});

for (const [name, harm, check, pattern] of [
  ['a daemon that is down', (t: Target) => t.stopDaemon(), 'nix', /nix-unavailable|socket|daemon/i],
  ['a floor that is lost', (t: Target) => damageFloor(t), 'floor', /lost/],
] as const) {
  test(`doctor calls ${name} bad, and exits with 1`, async () => {
    const unwell = await freshTarget();
    assert.equal((await take(unwell, await release('one', '1.0'))).state, 'committed');
    await harm(unwell);
    const ran = await unwell.verb('doctor', ['--json']);
    const { checks } = JSON.parse(ran.stdout) as {
      checks: { check: string; verdict: string; what: string; next?: string }[];
    };
    const found = checks.find((c) => c.check === check);
    assert.equal(found?.verdict, 'bad', ran.stdout);
    assert.match(`${found?.what} ${found?.next}`, pattern);
    assert.equal(ran.code, 1);
    const said = await unwell.verb('doctor');
    assert.match(said.stdout, new RegExp(`^BAD +${check}`, 'm'));
  });
}

test('doctor says that Nix takes what nobody signed, and that nobody may write to the inbox but a group', async () => {
  const open = await freshTarget({ nixConf: 'require-sigs = false' });
  await mkdir(open.inbox, { recursive: true, mode: 0o777 });
  await open.run(['chmod', '0777', open.inbox]);
  const { checks } = JSON.parse((await open.verb('doctor', ['--json'])).stdout) as {
    checks: { check: string; verdict: string }[];
  };
  const verdict = (name: string) => checks.find((c) => c.check === name)?.verdict;
  assert.deepEqual([verdict('require-sigs'), verdict('inbox')], ['look', 'look']);
});

test('Prometheus is told, by the verb and in the file; and every alert asks for something that is told', async () => {
  const metricsFile = join(shop.folder, 'metrics', 'nixmaker.prom');
  const told = await freshTarget({ settings: { metricsFile } });
  const agent = await told.startAgent();
  await copyFile(await release('one', '1.0'), join(told.inbox, 'web.tar'));
  await agent.waitFor((l) => l.event === 'committed');
  await writeFile(join(told.inbox, 'bad.tar'), Buffer.alloc(64 * 1024, 7));
  await agent.waitFor((l) => l.event === 'refused');
  await agent.stop();
  const text = (await told.verb('metrics')).stdout;
  assert.match(text, /^nixmaker_sequence 2$/m);
  assert.match(text, /^nixmaker_runs_total\{state="committed"\} 1$/m);
  assert.match(text, /^nixmaker_runs_total\{state="refused"\} 1$/m);
  assert.match(text, /^nixmaker_problems_total\{code="not-a-bundle"\} 1$/m);
  assert.match(text, /^nixmaker_last_run_failed 1$/m);
  assert.match(
    await readFile(metricsFile, 'utf8'),
    /^nixmaker_info\{version="\d+\.\d+\.\d+",host="web"\} 1$/m,
  );
  const rules = await readFile(join(checkout, 'share/nixmaker.rules.yml'), 'utf8');
  const asked = new Set([...rules.matchAll(/\bnixmaker_[a-z_]+/g)].map(([name]) => name));
  assert.ok(asked.size >= 6);
  for (const name of asked)
    assert.ok(text.includes(`# TYPE ${name} `) || name === 'nixmaker_healthy', `${name} is not told`);
});

test('a journal that is damaged in the middle, or was written by whoever took the agent over, stops no verb', async () => {
  const hurt = await freshTarget();
  assert.equal((await take(hurt, await release('one', '1.0'))).state, 'committed');
  assert.equal((await take(hurt, await release('two', '2.0'))).state, 'committed');
  const journal = join(hurt.stateDirectory, 'journal');
  const line = { schema: 1, at: '2026-11-01T00:00:00Z', transaction: 'x', state: 'refused', source: 'x.tar' };
  await appendFile(journal, Buffer.alloc(100_000));
  await appendFile(journal, '\ngarbage\n\n');
  await appendFile(journal, checksummed('{ "schema": 1,'));
  await appendFile(journal, checksummed(JSON.stringify({ ...line, schema: 9 })));
  await appendFile(journal, checksummed(JSON.stringify({ ...line, detail: {} })));
  await appendFile(journal, checksummed(JSON.stringify({ ...line, at: '2999-01-01', health: 'none' })));
  await appendFile(journal, checksummed(JSON.stringify({ ...line, at: '2999-01-02', health: [null] })));
  const said = await hurt.verb('status');
  assert.equal(said.code, 0, said.stderr);
  assert.match(said.stdout, /Damaged: +6 lines of the journal cannot be read/);
  for (const verb of ['history', 'events', 'metrics', 'doctor'])
    assert.ok([0, 1].includes((await hurt.verb(verb)).code ?? -1), verb);
  const history = await hurt.verb('history');
  assert.match(history.stdout, / done /);
  assert.match(history.stderr, /6 lines/);
  const confirmed = await hurt.verb('confirm');
  assert.equal(confirmed.code, 0, confirmed.stderr);
  const back = await hurt.verb('rollback');
  assert.equal(back.code, 0, back.stderr);
  assert.match((await hurt.run(['cat', '/run/current-system/etc/motd'])).stdout, /^one/);
});
