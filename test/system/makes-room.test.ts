/** Room that root makes under a real systemd, asked by an agent without privileges, in the confinement of its own unit. */
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startBed, unitText } from '../machines/bed.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { forTwo, largeRelease } from '../support/small-machine.ts';

const shop = await makeWorkshop();
const disk = join(shop.folder, 'bed');
await mkdir(disk);
const bed = await startBed(disk);
after(() => bed.stop());

const inbox = '/var/lib/nixmaker/inbox';
const activation = '/var/lib/nixmaker/activation';
const policy = (collect: string) =>
  bed.write(
    '/etc/nixmaker/policy.json',
    JSON.stringify({
      ...{ schema: 1, host: 'web', operation: 'switch', trustedKeys: [shop.keys.publicKey], collect },
      limits: { freeBytes: 1024 * 1024 },
    }),
  );

await bed.write(
  '/etc/nix/nix.conf',
  `experimental-features = nix-command flakes\nsandbox = false\nsubstituters =\ntrusted-public-keys = ${shop.keys.publicKey}\n`,
);
await policy('when-needed');
for (const unit of ['nixmaker.service', 'nixmaker-activate.path', 'nixmaker-activate.service'])
  await bed.write(`/etc/systemd/system/${unit}`, unitText(unit));
// Disks as small as in test/target/makes-room.test.ts.
await bed.sh(
  `systemctl stop nix-daemon.socket nix-daemon.service
  cp -a /nix /run/nix; mount -t tmpfs -o size=${forTwo.disk},mode=755 disk /nix; cp -a /run/nix/. /nix
  mount -t tmpfs -o size=${forTwo.boot},mode=755 boot /boot
  systemctl daemon-reload; systemctl start nix-daemon.socket nixmaker-activate.path nixmaker.service`,
);

const generations = async () =>
  (await bed.sh('ls /nix/var/nix/profiles | sed -n "s/^system-\\([0-9]*\\)-link$/\\1/p" | sort -n'))
    .trim()
    .split('\n')
    .map(Number);

async function take(n: number): Promise<string> {
  await bed.write(`${inbox}/${n}.tar`, await readFile(await largeRelease(shop, n, { line: 'bed' })));
  await bed.until(`test -e ${inbox}/done/${n}.tar.txt || test -e ${inbox}/refused/${n}.tar.txt`);
  return bed.sh(`cat ${inbox}/*/${n}.tar.txt`);
}

test('the agent asks, root deletes and collects in its own unit, and the report says what was freed', async () => {
  for (const n of [1, 2]) assert.match(await take(n), /^DONE\n/);
  assert.deepEqual(await generations(), [1, 2]);
  for (const n of [3, 4]) {
    const report = await take(n);
    assert.match(report, /^DONE\n/);
    assert.match(
      report,
      new RegExp(`^Freed: +generation ${n - 2} deleted, \\d+ store paths collected \\([\\d.]+ MiB\\)$`, 'm'),
    );
    assert.deepEqual(await generations(), [n - 1, n]);
  }
  await bed.sh(
    'for e in /boot/loader/entries/*.conf; do test -x "$(sed -n "s/^options init=\\([^ ]*\\).*/\\1/p" "$e")"; done',
  );
  await bed.sh('test ! -e /nix/var/nix/profiles/system.leaving/3; nix-store --verify --check-contents');
  const units = await bed.sh('journalctl --no-pager --unit nixmaker-activate.service --output=cat');
  assert.match(units, /"event":"room-made"/);
});

/** A request as an agent that was taken over would put it. */
async function ask(transaction: string, files: Readonly<Record<string, Buffer | string>>): Promise<string> {
  const request = JSON.stringify({ schema: 2, transaction });
  await bed.sh('install -d -o nixmaker -g nixmaker -m 700 /run/nixmaker/rooms');
  for (const [kind, bytes] of [...Object.entries(files), ['json', request] as const]) {
    await bed.write('/run/nixmaker/rooms/.new', bytes, '0600');
    await bed.sh('cd /run/nixmaker/rooms; chown nixmaker: .new; mv .new "$1"', `${transaction}.${kind}`);
  }
  const answer = `${activation}/rooms/${transaction}.json`;
  await bed.until('test -e "$1"', answer);
  return bed.sh('cat "$1"', answer);
}

test('what nobody has signed gets no room, and nothing is deleted for it', async () => {
  const before = await generations();
  const forged = { manifest: '{}', signatures: '', index: '' };
  const untilEnded = 'test "$(systemctl is-active nixmaker-activate.service)" = inactive';
  const unsigned = await ask('aaaaaaaaaaaa', forged);
  await bed.until(untilEnded);
  await policy('never');
  const forbidden = await ask('bbbbbbbbbbbb', forged);
  await bed.until(untilEnded);
  await policy('when-needed');
  assert.match(unsigned, /"refusal":"signature-missing: /);
  assert.match(forbidden, /"refusal":"operation-forbidden: the policy has `collect: never`"/);
  assert.deepEqual(await generations(), before);
});

test('a helper that is killed while it makes room is started again, and the release is taken', async () => {
  await bed.write(
    '/usr/bin/nixmaker-killed',
    '#!/bin/sh\nset -eu\nfor i in $(seq 600); do pid=$(systemctl show --property MainPID --value nixmaker-activate.service)\nif [ -e /nix/var/nix/profiles/system.leaving/3 ] && [ "$pid" != 0 ]; then kill -KILL "$pid"; exit 0; fi; sleep 0.02; done; exit 1\n',
    '0755',
  );
  await bed.sh('systemd-run --unit killer --service-type=exec /usr/bin/nixmaker-killed');
  const report = await take(5);
  assert.match(report, /^DONE\n/);
  await bed.sh('test "$(systemctl show --property Result --value killer.service)" = success');
  assert.deepEqual(await generations(), [4, 5]);
  await bed.sh('test -z "$(ls /nix/var/nix/profiles/system.leaving)"; nix-store --verify --check-contents');
});

test('after a commit root tidies up in the same unit, once', async () => {
  await policy('after-commit');
  await bed.sh('nix-store --add /etc/os-release');
  assert.match(await take(6), /^DONE\n/);
  await bed.until(`test -e ${activation}/tidied.json`);
  const { transaction, freed } = JSON.parse(await bed.sh(`cat ${activation}/tidied.json`));
  const receipt = JSON.parse(await bed.sh(`cat ${activation}/receipts/${transaction}.json`));
  assert.deepEqual([receipt.sequence, receipt.state], [61, 'committed']);
  assert.deepEqual([freed.generations, freed.unfinished], [[], undefined]);
  assert.deepEqual(await generations(), [5, 6]);
  await bed.sh(
    'test "$(nix-store --gc --print-dead 2>/dev/null | wc -l)" = 0; nix-store --verify --check-contents',
  );
});

test('while the boot partition is not mounted nothing is deleted, for its menu offers what would go', async () => {
  await policy('when-needed');
  await bed.sh('mkdir -p /run/esp && mount --bind /boot /run/esp && umount /boot && test -z "$(ls /boot)"');
  await bed.write('/etc/fstab', 'LABEL=ESP /boot vfat defaults 0 2\n');
  const before = await generations();
  const since = (await bed.sh('date +%s')).trim();
  const said = `journalctl --no-pager --unit nixmaker-activate.service --output=cat --since "@${since}"`;
  await bed.write(`${inbox}/7.tar`, await readFile(await largeRelease(shop, 7, { line: 'bed' })));
  try {
    await bed.until(`${said} | grep -q '"unfinished":"boot-not-mounted: /boot is listed in /etc/fstab'`);
    assert.deepEqual(await generations(), before);
    assert.equal(await bed.sh('ls -A /boot'), '', 'nor is a menu written into the folder below');
  } finally {
    await bed.sh('rm /etc/fstab; mount --bind /run/esp /boot');
  }
});

test('in its confinement the unit sees who waits for its lock: a collection gives way to them', async () => {
  const look = `grep -e '-> FLOCK .*:'$(stat -c %%i ${activation}/lock)' ' /proc/locks`;
  const unit = unitText('nixmaker-activate.service')
    .replace(/^ExecStart=.*$/m, `ExecStart=/bin/sh -c "${look}"`)
    .replace(/^Type=exec$/m, 'Type=oneshot')
    .replace(/^(?:Restart|ExecStopPost).*$/gm, '');
  await bed.write('/etc/systemd/system/looks-at-locks.service', unit);
  const seen = await bed.sh(
    `systemctl daemon-reload
    flock --close ${activation}/lock sh -euc '
      flock --timeout 60 "$1" true & until grep -q -e "-> FLOCK" /proc/locks; do sleep 0.1; done
      systemctl start looks-at-locks.service' sh ${activation}/lock
    journalctl --no-pager --unit looks-at-locks.service --output=cat`,
  );
  assert.match(seen, /-> FLOCK/);
});
