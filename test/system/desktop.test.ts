/**
 * A desktop: a session on a seat (logind), an X server without a screen, a real notification service (dunst) and polkit. Anna sits there;
 * Berta is logged in from elsewhere.
 */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startBed, unitText } from '../machines/bed.ts';
import { checkout } from '../machines/program.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const shop = await makeWorkshop();
const disk = join(shop.folder, 'desktop');
await mkdir(disk);
const bed = await startBed(disk, [], 'NIXMAKER_DESKTOP');
after(() => bed.stop());

const display = ':7';
/** A command in a user’s own session. */
const as = (uid: number, ...command: string[]) =>
  bed.run([
    ...['setpriv', '--reuid', String(uid), '--regid', String(uid), '--clear-groups', 'env'],
    ...[`XDG_RUNTIME_DIR=/run/user/${uid}`, `DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/${uid}/bus`],
    ...[`DISPLAY=${display}`, ...command],
  ]);
/** systemctl(1) as one of the session’s own services: polkit tells whose process it is by its control group. */
const systemctl = (uid: number, ...args: string[]) =>
  as(
    uid,
    'systemd-run',
    '--user',
    '--wait',
    '--pipe',
    '--quiet',
    '--collect',
    'systemctl',
    '--no-ask-password',
    ...args,
  );
const anna = async (script: string, ...args: string[]): Promise<string> => {
  const ran = await as(1000, 'sh', '-euc', script, 'sh', ...args);
  assert.equal(ran.code, 0, `${script}\n${ran.stdout}${ran.stderr}`);
  return ran.stdout;
};

const rules = await readFile(join(checkout, 'systemd/polkit/50-nixmaker.rules'), 'utf8');
const rulesFile = '/etc/polkit-1/rules.d/50-nixmaker.rules';
/** As the module writes it with `withoutPassword`. */
const withoutPassword = rules.replace('polkit.Result.AUTH_SELF', 'polkit.Result.YES');
const useRules = async (text: string) => {
  await bed.write(rulesFile, text);
  await bed.sh('systemctl restart polkit.service');
};

const writePolicy = async (more: Readonly<Record<string, unknown>>) => {
  const policy = { schema: 1, host: 'web', operation: 'switch', trustedKeys: [shop.keys.publicKey], ...more };
  await bed.write('/etc/nixmaker/policy.json', JSON.stringify(policy));
  await bed.sh('systemctl restart nixmaker.service');
};
const release = (name: string, sequence: number, switchPrelude = '') =>
  shop.bundle(name, {
    hosts: { web: plainHost('web', name) },
    args: ['--sequence', String(sequence)],
    ...(switchPrelude === '' ? {} : { switchPrelude }),
  });
const drop = async (path: string, name: string) =>
  bed.write(`/var/lib/nixmaker/inbox/${name}`, await readFile(path));

const question = '/var/lib/nixmaker/activation/run/question.json';
const questionId = async () => (JSON.parse(await bed.sh('cat "$1"', question)) as { id: string }).id;
const log = 'journalctl --quiet --no-pager --output cat _UID=1000';
/** Waits until the session has shown a notice of this kind, as often as said. */
const shown = (kind: string, times = 1) =>
  bed.until(`test "$(${log} | grep notice-shown | grep -c "\\"$1\\"")" = "$2"`, kind, String(times));
/** Chooses from the newest notice, as a person does from dunst’s menu. */
async function choose(label: string): Promise<void> {
  await bed.write('/tmp/choice', label, '0644');
  await anna('until test "$(dunstctl count displayed)" -ge 1; do sleep 0.1; done; dunstctl context');
}
/** For people to look at: test/out/desktop-NAME.png. */
async function screenshot(name: string): Promise<void> {
  await anna(
    'until test "$(dunstctl count displayed)" -ge 1; do sleep 0.1; done; scrot --overwrite /tmp/screen.png',
  );
  const { stdout } = await bed.run(['base64', '/tmp/screen.png']);
  const png = Buffer.from(stdout, 'base64');
  assert.equal(png.subarray(1, 4).toString('latin1'), 'PNG');
  await writeFile(join(checkout, 'test/out', `desktop-${name}.png`), png);
}
interface Told {
  readonly summary: { readonly data: string };
  readonly body: { readonly data: string };
}
/** What has left the screen, newest first. */
async function history(): Promise<string[]> {
  const { data } = JSON.parse(await anna('dunstctl close-all; dunstctl history')) as { data: Told[][] };
  return data.flat().map(({ summary, body }) => `${summary.data}: ${body.data}`);
}

test('set-up: a session on the seat, with a notification service', async () => {
  await bed.write(
    '/etc/nix/nix.conf',
    `experimental-features = nix-command flakes\nsandbox = false\nsubstituters =\ntrusted-public-keys = ${shop.keys.publicKey}\n`,
  );
  const units = [
    ...[
      'nixmaker.service',
      'nixmaker-activate.path',
      'nixmaker-activate.service',
      'nixmaker-confirm.service',
    ],
    ...['nixmaker-receipts.path', 'nixmaker-receipts.service', 'nixmaker-keep.service'],
    ...['nixmaker-approve@.service', 'nixmaker-refuse@.service'],
  ];
  for (const unit of units) await bed.write(`/etc/systemd/system/${unit}`, unitText(unit));
  await bed.write('/etc/systemd/user/nixmaker-desktop.service', unitText('user/nixmaker-desktop.service'));
  await bed.write('/etc/nixmaker/settings.json', JSON.stringify({ media: { roots: ['/mnt'] } }));
  // The menu of a notice’s answers: the person’s choice.
  await bed.write(
    '/home/anna/.config/dunst/dunstrc',
    '[global]\ndmenu = /usr/bin/sh /tmp/menu\nwidth = (0, 420)\n',
  );
  await bed.write('/tmp/menu', 'exec grep -F "$(cat /tmp/choice)"\n');
  await bed.sh('systemctl daemon-reload; systemctl start polkit.service');
  const seat = [
    '-p',
    'PAMName=login',
    '-p',
    'Environment=XDG_SEAT=seat0 XDG_SESSION_TYPE=x11 XDG_SESSION_CLASS=user',
  ];
  await bed.sh(
    'systemd-run --quiet --unit=seat --uid=anna "$@" -p TTYPath=/dev/pts/9 sleep infinity',
    ...seat,
  );
  await bed.sh('systemd-run --quiet --unit=elsewhere --uid=berta -p PAMName=login sleep infinity');
  await bed.until('test -S /run/user/1000/bus && test -S /run/user/1001/bus');
  await anna('systemd-run --user --quiet --unit=screen Xvfb "$DISPLAY" -screen 0 640x200x24 -nolisten tcp');
  await bed.until('test -S /tmp/.X11-unix/X7');
  await anna(
    'systemctl --user set-environment DISPLAY="$DISPLAY" LANG=de_DE.UTF-8; systemctl --user daemon-reload',
  );
  await useRules(withoutPassword);
  await writePolicy({ approval: { command: ['/usr/bin/nixmaker', 'ask'], timeout: 600 } });
  await bed.sh('systemctl start nixmaker-confirm.service nixmaker-activate.path nixmaker-receipts.path');
  await anna('systemctl --user start nixmaker-desktop.service');
});

test('an installation is asked for, and what the person at the screen approves is installed', async () => {
  await drop(await release('asked', 10), 'asked.tar');
  await shown('approve');
  await screenshot('approve');
  await choose('Installieren');
  await bed.until('test -e /var/lib/nixmaker/inbox/done/asked.tar.txt');
  assert.match(await bed.sh('cat /run/current-system/etc/motd 2>/dev/null || nixmaker history'), /asked/);
  await bed.until('test ! -e "$1"', question);
  assert.match((await history()).join('\n'), /Update installieren\?: Version 11 ist geprüft und bereit/);
});

test('who does not sit at the screen cannot answer, nor who has no password where one is asked for', async () => {
  await drop(await release('refused', 20), 'refused.tar');
  await shown('approve', 2);
  const unit = `nixmaker-approve@${await questionId()}.service`;
  const others = await systemctl(1001, 'start', unit);
  assert.notEqual(others.code, 0);
  assert.match(others.stderr, /Access denied/);
  await useRules(rules);
  const without = await systemctl(1000, 'start', unit);
  assert.match(
    without.stderr,
    /Access denied as the requested operation requires interactive authentication/,
  );
  await useRules(withoutPassword);
  for (const other of ['nixmaker-reboot.service', 'nixmaker-activate.service', 'nix-daemon.service'])
    assert.notEqual((await systemctl(1000, 'start', other)).code, 0, other);
  // A question that is not the one on the screen.
  const stale = await systemctl(1000, 'start', 'nixmaker-approve@0123456789ab.service');
  assert.match(stale.stderr, /error code|exit-code|failed/);
  await bed.until('journalctl --unit nixmaker-approve@0123456789ab --output cat | grep -q nothing-asked');
  assert.equal(`nixmaker-approve@${await questionId()}.service`, unit, 'the question still stands');
});

test('what is refused waits, and the system stays as it is', async () => {
  const before = await bed.sh('readlink /run/current-system');
  await choose('Jetzt nicht');
  // The release is staged, and asked about again later.
  await bed.until('test -e /var/lib/nixmaker/inbox/done/refused.tar.txt');
  assert.match(await bed.sh('cat /var/lib/nixmaker/inbox/done/refused.tar.txt'), /not-approved/);
  assert.equal(await bed.sh('readlink /run/current-system'), before);
});

test('an update that needs a restart says so, and “later” leaves the machine alone', async () => {
  await writePolicy({ operation: 'boot' });
  // Nobody is asked any more, so what is staged is installed.
  await shown('restart');
  await choose('Später');
  await bed.until(`${log} | grep notice-answered | grep -q later`);
  assert.match(
    (await history()).join('\n'),
    /Ein Update ist installiert: Version 21 läuft nach dem nächsten Neustart/,
  );
  // Asked again in the next session, not in this one.
  await anna('systemctl --user restart nixmaker-desktop.service');
  await shown('restart', 2);
});

test('a system that was undone is told with its code, once', async () => {
  await writePolicy({ operation: 'switch' });
  await drop(await release('broken', 40, 'test "$1" != switch || exit 1'), 'broken.tar');
  await shown('rolled-back');
  await screenshot('rolled-back');
  await anna('systemctl --user restart nixmaker-desktop.service');
  // The restarted session has read everything there is by then: it asks about nothing else.
  const told = (await history()).filter((line) => line.startsWith('Ein Update wurde zurückgenommen'));
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /Version 41 .*\(activation-failed\)/);
});

test('a medium that is done with may be removed', async () => {
  // Filled before it is plugged in.
  await bed.sh('mkdir -p /root/stick /mnt/stick; mount -t tmpfs stick /root/stick');
  await bed.write('/root/stick/medium.tar', await readFile(await release('medium', 50)));
  await bed.sh('mount --bind /root/stick /mnt/stick');
  await shown('medium-committed');
  await screenshot('medium');
  assert.match(
    (await history()).join('\n'),
    /Der Datenträger kann entfernt werden: Version 51 ist installiert und läuft\. Bitte vorher auswerfen\./,
  );
});

test('a person at the screen may keep a new system', async () => {
  assert.equal((await systemctl(1000, 'start', 'nixmaker-keep.service')).code, 0);
  assert.match(
    await bed.sh('journalctl --unit nixmaker-keep.service --output cat'),
    /Nothing is waiting to be confirmed/,
  );
});
