/**
 * Switches under a real systemd as NixOS does them: active targets are started again and waited for, changed units are stopped, restarted
 * or left alone by what their files say, logind is asked. Where NIXMAKER_REAL_SWITCHER names NixOS’s own program, it does them;
 * else a switcher that follows it (sample/), and that is said.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startBed, unitText } from '../machines/bed.ts';
import { units } from '../machines/held-units.ts';
import { realSwitcher } from '../machines/real-switcher.ts';
import { makeWorkshop } from '../support/fleet.ts';

const shop = await makeWorkshop();
const bed = await startBed(join(shop.folder, 'bed'), realSwitcher());
after(() => bed.stop());
const inbox = '/var/lib/nixmaker/inbox';
let sequence = 0;

/** @param more attributes of the system @returns its report, from whichever folder it came to */
async function install(name: string, more = ''): Promise<string> {
  sequence += 10;
  const host = `mkSystem { hostName = "web"; motd = "${name}"; ${more} }`;
  const args = ['--sequence', String(sequence)];
  const path = await shop.bundle(name, { hosts: { web: host }, args });
  await bed.write(`${inbox}/${name}.tar`, await readFile(path));
  await bed.until(
    'test -e "$1" || test -e "$2"',
    ...['done', 'refused'].map((f) => `${inbox}/${f}/${name}.tar.txt`),
  );
  return bed.sh('cat "$1"/*/"$2".tar.txt', inbox, name);
}

const unit = (name: string, text: string) => `units."${name}" = ''${text}'';`;
const show = async (name: string, property: string) =>
  (await bed.sh('systemctl show --property "$2" --value "$1"', name, property)).trim();

before(async () => {
  await bed.write(
    '/etc/nix/nix.conf',
    `experimental-features = nix-command flakes\nsandbox = false\nsubstituters =\ntrusted-public-keys = ${shop.keys.publicKey}\n`,
  );
  const health = { settle: 0, retries: 0, systemRunning: false };
  const policy = { schema: 1, host: 'web', operation: 'switch', trustedKeys: [shop.keys.publicKey], health };
  await bed.write('/etc/nixmaker/policy.json', JSON.stringify(policy));
  for (const name of units) await bed.write(`/etc/systemd/system/${name}`, unitText(name));
  await bed.sh(
    // What NixOS always has: a system that runs, here without a name.
    'touch /etc/NIXOS; mkdir /run/first; printf 2 >/run/first/init-interface-version; ln -s first /run/current-system; systemctl daemon-reload; systemctl enable nixmaker.service nixmaker-activate.path nixmaker-activate.service nixmaker-confirm.service; systemctl start nixmaker.service nixmaker-activate.path boot-complete.target',
  );
});

test('with boot counting a switch starts boot-complete.target, and nothing waits for anything', async () => {
  assert.match(await install('one'), /^DONE\n/);
  const confirmed = await show('nixmaker-confirm.service', 'InvocationID');
  const report = await install('two');
  assert.match(report, /^DONE\n/);
  assert.match(report, /Health: +ok +no unit has newly failed/);
  assert.equal(await show('boot-complete.target', 'ActiveState'), 'active');
  assert.equal(await show('nixmaker-confirm.service', 'InvocationID'), confirmed, 'it is not for switches');
});

test('confirm, run by a switch after all, waits for no run of this boot', async () => {
  await bed.sh(
    'systemctl kill nixmaker-confirm.service 2>/dev/null; systemctl stop nixmaker-confirm.service',
  );
  await bed.sh('systemctl start boot-complete.target');
  await bed.sh('systemctl stop nixmaker-confirm.service');
  assert.match(await install('three'), /^DONE\n/);
});

test('units are started, stopped, restarted, reloaded and left alone as their files say', async () => {
  const service = (line: string, more = '') =>
    `[Service]\nType=simple\nExecStart=/bin/sleep infinity\n${line}\n${more}`;
  const texts = (n: number) =>
    [
      unit('plain.service', service(`Environment=N=${n}`)),
      unit('kept.service', service(`Environment=N=${n}`, 'X-RestartIfChanged=false')),
      unit('elsewhere.service', `[Unit]\nX-RestartIfChanged=false\n${service(`Environment=N=${n}`)}`),
      unit(
        'reloaded.service',
        `[Unit]\nX-Reload-Triggers=${n}\n${service('ExecReload=/bin/touch /run/reloaded')}`,
      ),
      unit('command.service', service(`ExecReload=/bin/touch /run/reloaded-${n}`)),
      unit('same.service', service('')),
    ].join(' ');
  const names = ['plain', 'kept', 'elsewhere', 'reloaded', 'command', 'same'].map((n) => `${n}.service`);
  assert.match(await install('units-1', `${texts(1)} ${unit('gone.service', service(''))}`), /^DONE\n/);
  await bed.sh('systemctl start "$@"', ...names, 'gone.service');
  const before = await Promise.all(names.map((n) => show(n, 'MainPID')));
  const report = await install('units-2', texts(2));
  assert.match(report, /^DONE\n/);
  const after = await Promise.all(names.map((n) => show(n, 'MainPID')));
  const restarted = names.filter((_, i) => before[i] !== after[i]);
  assert.deepEqual(
    restarted.filter((n) => n !== 'command.service'),
    ['plain.service', 'elsewhere.service'],
    'a switch reads X-RestartIfChanged= in [Service], and nowhere else',
  );
  assert.equal((await bed.run(['test', '-e', '/run/reloaded'])).code, 0);
  // A switcher of 2024 restarts where only the command to reload is another (ADR 23).
  if (!restarted.includes('command.service'))
    assert.equal((await bed.run(['test', '-e', '/run/reloaded-2'])).code, 0);
  else assert.notEqual(process.env.NIXMAKER_REAL_SWITCHER ?? '', '', 'the samples follow the newest');
  assert.equal(await show('gone.service', 'ActiveState'), 'inactive');
  assert.match(report, /NOT restarting the following changed units: kept\.service/);
});

test('a switch that changes nixmaker’s own units neither stops nor waits for them', async () => {
  const changed = units.filter((n) => n.endsWith('.service') || n.endsWith('.path'));
  const text = (name: string) => unitText(name).replace('[Service]\n', '[Service]\nEnvironment=CHANGED=1\n');
  const [agent, path] = [
    await show('nixmaker.service', 'MainPID'),
    await show('nixmaker-activate.path', 'InvocationID'),
  ];
  const texts = changed.map((name) => unit(name, text(name).replaceAll("''", "'''"))).join(' ');
  const report = await install('own-units', texts);
  assert.match(report, /^DONE\n/);
  assert.match(report, /NOT restarting the following changed units: .*nixmaker\.service/);
  assert.equal(await show('nixmaker.service', 'MainPID'), agent);
  assert.equal(await show('nixmaker-activate.path', 'InvocationID'), path);
  assert.match(await install('after-own-units', texts), /^DONE\n/);
});

/** The agent’s unit by another program, as a system with another nixmaker has it. */
const agentUnit = (program: string) =>
  unit(
    'nixmaker.service',
    unitText('nixmaker.service').replace('/usr/bin/nixmaker', program).replaceAll("''", "'''"),
  );
/** What runs, and as which it was started. */
const agentProcess = async () => {
  const pid = await show('nixmaker.service', 'MainPID');
  const environment = await bed.sh('tr "\\0" "\\n" <"/proc/$1/environ"', pid);
  return { pid, from: /^STARTED_FROM=(.*)$/m.exec(environment)?.[1] };
};
/** In this order: it is none for a while, and then the other. */
const untilAnotherThan = (pid: string) =>
  bed.until(
    'test "$(systemctl show --property=MainPID --value nixmaker.service)" != "$1" && test "$(systemctl show --property=SubState --value nixmaker.service)" = running',
    pid,
  );
const other = '/opt/other/nixmaker';

test('a switch that brings another nixmaker: at rest the agent makes room for it, once', async () => {
  // Those of the last system go with it.
  for (const name of units) await bed.write(`/etc/systemd/system/${name}`, unitText(name));
  await bed.sh('systemctl daemon-reload');
  const text = await bed.sh('cat /usr/bin/nixmaker');
  await bed.write(other, text.replace('exec ', `STARTED_FROM=${other} exec `), '0755');
  const first = await agentProcess();
  assert.match(await install('brings-another', agentUnit(other)), /^DONE\n/);
  await untilAnotherThan(first.pid);
  const second = await agentProcess();
  assert.equal(second.from, other);
  assert.match(await bed.sh('nixmaker history'), /brings-another/);
  // Which also shows that it stays where the switch leaves its program alone.
  assert.match(await install('by-the-other', agentUnit(other)), /^DONE\n/);
  assert.match(await install('after-the-other', agentUnit(other)), /^DONE\n/);
  assert.deepEqual(await agentProcess(), second);
});

test('a switch that would have brought another and was undone leaves the agent alone', async () => {
  const { pid } = await agentProcess();
  const target =
    '[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\nWants=unwell.service\n';
  const more = [
    agentUnit('/opt/never/nixmaker'),
    unit('unwell.service', '[Service]\nType=oneshot\nExecStart=/bin/false\n'),
    unit('multi-user.target', target),
  ];
  assert.match(
    await install('undone-another', more.join(' ')),
    /^ROLLED BACK, the previous system was restored\n/,
  );
  await bed.sh('systemctl reset-failed');
  assert.match(await install('after-undone', agentUnit(other)), /^DONE\n/);
  assert.equal((await agentProcess()).pid, pid);
});

test('one that could not start is no reason to end, and that is told', async () => {
  const { pid } = await agentProcess();
  assert.match(await install('brings-a-broken-one', agentUnit('/opt/never/nixmaker')), /^DONE\n/);
  await bed.until('journalctl --no-pager --output=cat --unit nixmaker | grep -q successor-unusable');
  assert.equal((await agentProcess()).pid, pid);
  assert.match(await install('brings-a-good-one', agentUnit('/usr/bin/nixmaker')), /^DONE\n/);
  await untilAnotherThan(pid);
});

test('a system that lacks them does not stop nixmaker’s units', async () => {
  const agent = await show('nixmaker.service', 'MainPID');
  for (const name of units) await bed.write(`/etc/systemd/system/${name}`, unitText(name));
  await bed.sh('systemctl daemon-reload');
  assert.match(await install('without-them'), /^DONE\n/);
  assert.equal(await show('nixmaker.service', 'MainPID'), agent);
  assert.equal(await show('nixmaker-activate.path', 'ActiveState'), 'active');
});

test('a unit that fails: the report has the unit’s and the switcher’s word, and not systemd’s about the switch', async () => {
  const failing = unit(
    'failing.service',
    '[Service]\nType=oneshot\nExecStart=/bin/sh -c "echo the galley is on fire; exit 3"\n',
  );
  const target = unit(
    'multi-user.target',
    '[Unit]\nDescription=Multi-User System\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\nWants=failing.service\n',
  );
  const report = await install('failing', `${failing} ${target}`);
  assert.match(report, /^ROLLED BACK, the previous system was restored\n/);
  assert.match(report, /no unit has newly failed: failing\.service/);
  assert.match(report, /warning: the following units failed: failing\.service/);
  assert.doesNotMatch(report, /Failed with result 'exit-code'\.\n.*nixmaker-switch/);
});

test('an activation script that fails beside a unit that does is no success with a notice', async () => {
  await bed.sh('systemctl reset-failed');
  const failing = unit('bad.service', '[Service]\nType=oneshot\nExecStart=/bin/false\n');
  const target = unit(
    'multi-user.target',
    '[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\nWants=bad.service\n',
  );
  const report = await install('two-faults', `activationScript = "exit 3"; ${failing} ${target}`);
  assert.match(report, /^ROLLED BACK, the previous system was restored\n/);
  assert.match(report, /activation-script-failed \(exit [24]\): Failed to run activate script/);
});

test('without logind a switch fails midway with 11, which is nobody’s lock; and so does the way back, which is told', async () => {
  await bed.sh(
    'systemctl reset-failed; systemctl mask --runtime --now systemd-logind.service dbus-org.freedesktop.login1.service',
  );
  const report = await install('no-logind');
  assert.match(report, /^FAILED/);
  assert.match(report, /not-finished \(exit \d+\): Unable to list users with logind/);
  const switches = await bed.sh(
    'journalctl --no-pager --output=cat --identifier=systemd | grep -c "Started.*nixmaker-switch-.*-switch-" || true',
  );
  await bed.sh('systemctl unmask --runtime systemd-logind.service dbus-org.freedesktop.login1.service');
  assert.ok(Number(switches) < 40, `${switches} switches`);
  assert.match(await install('logind-again'), /^DONE\n/);
});
