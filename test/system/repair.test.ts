/** Repairs under a real systemd, in the confinement of their own units, with the store mounted read-only as NixOS mounts it. */
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startBed, unitText } from '../machines/bed.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { released } from '../support/released.ts';

const shop = await makeWorkshop();
const disk = join(shop.folder, 'bed');
await mkdir(disk);
const bed = await startBed(disk);
after(() => bed.stop());

const inbox = '/var/lib/nixmaker/inbox';
const record = '/var/lib/nixmaker/activation/contents.json';
const policy = (repair: string) =>
  bed.write(
    '/etc/nixmaker/policy.json',
    JSON.stringify({
      ...{ schema: 1, host: 'web', operation: 'switch', trustedKeys: [shop.keys.publicKey], repair },
    }),
  );
const bundle = await shop.bundle('one', { hosts: { web: plainHost('web', 'one') } });
const base = (await released(bundle)).paths.find(({ path }) => path.includes('-sample-base-'))
  ?.path as string;

await bed.write(
  '/etc/nix/nix.conf',
  `experimental-features = nix-command flakes\nsandbox = false\nsubstituters =\ntrusted-public-keys = ${shop.keys.publicKey}\n`,
);
await policy('automatic');
const services = ['nixmaker-check.service', 'nixmaker-repair.service'];
const units = ['nixmaker-check.timer', 'nixmaker-repair.path', ...services];
for (const unit of ['nixmaker.service', 'nixmaker-activate.path', 'nixmaker-activate.service', ...units])
  await bed.write(`/etc/systemd/system/${unit}`, unitText(unit));
// nixos/modules/system/boot/stage-2-init.sh; the daemon makes it writable in a mount namespace of its own.
await bed.sh(
  `systemctl stop nix-daemon.socket nix-daemon.service
  nix-store --init; mount --bind /nix/store /nix/store; mount -o remount,ro,bind /nix/store
  ! touch /nix/store/x 2>/dev/null
  systemctl daemon-reload; systemctl start nix-daemon.socket nixmaker-activate.path nixmaker.service`,
);
await bed.write(`${inbox}/one.tar`, await readFile(bundle));
await bed.until(`test -e ${inbox}/done/one.tar.txt`);

/** As a failing disk does it, below the mount. */
const flip = () =>
  bed.sh(
    `unshare --mount sh -euc 'mount -o remount,rw,bind /nix/store; printf X | dd of=${base}/share/manual bs=1 seek=100 conv=notrunc status=none'`,
  );
const hash = async () => (await bed.sh(`nix-hash --type sha256 --base32 ${base}`)).trim();
const whole = await hash();
const isRepaired = `test "$(nix-hash --type sha256 --base32 ${base})" = ${whole}`;

async function requireClean(): Promise<void> {
  await bed.sh(
    'nix-store --verify --check-contents; test -z "$(ls -d /nix/store/*nixmaker-repair* 2>/dev/null)"',
  );
  await bed.sh('! touch /nix/store/x 2>/dev/null');
}

test('the timer’s service finds damage, and the agent has it repaired from the bundle that the inbox kept', async () => {
  await flip();
  assert.notEqual(await hash(), whole);
  await bed.sh('systemctl start nixmaker-check.service');
  await bed.until(`test -e ${record} && test "$(systemctl is-active nixmaker-check.service)" = inactive`);
  await bed.sh('systemctl restart nixmaker.service');
  await bed.until(isRepaired);
  await bed.until(`grep -q '"damaged":\\[\\]' ${record}`);
  await bed.until('test "$(systemctl is-active nixmaker-repair.service)" = inactive');
  await bed.until('journalctl --no-pager --unit nixmaker --output=cat | grep -q \'"event":"repaired"\'');
  await requireClean();
});

test('by hand it is done in a mount namespace of its own, and everybody else’s store stays read-only', async () => {
  await flip();
  const ran = await bed.run(['nixmaker', 'repair']);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, new RegExp(`^Repaired ${base} `, 'm'));
  await requireClean();
});

test('what an agent asks for that was taken over is not done where the policy does not say so', async () => {
  await policy('report');
  await flip();
  await bed.sh(`systemctl stop nixmaker.service; rm ${record}; systemctl start nixmaker-check.service`);
  await bed.until(`test -e ${record}`);
  await bed.sh('install -d -o nixmaker -g nixmaker -m 700 /run/nixmaker/repairs');
  await bed.write(
    '/run/nixmaker/repairs/.new',
    JSON.stringify({ schema: 2, transaction: 'c'.repeat(12) }),
    '0600',
  );
  await bed.sh('cd /run/nixmaker/repairs; chown nixmaker: .new; mv .new cccccccccccc.json');
  const answer = '/var/lib/nixmaker/activation/repairs/cccccccccccc.json';
  await bed.until('test -e "$1"', answer);
  assert.match(
    await bed.sh('cat "$1"', answer),
    /"refusal":"operation-forbidden: the policy has `repair: report`"/,
  );
  assert.notEqual(await hash(), whole);
  const doctor = await bed.run(['nixmaker', 'doctor']);
  assert.match(doctor.stdout, /BAD +contents +1 store paths are damaged: sample-base-/);
});

test('the units are quiet under systemd-analyze verify, and shut in', async () => {
  for (const unit of units) {
    const ran = await bed.run(['systemd-analyze', 'verify', unit]);
    assert.deepEqual([ran.code, ran.stdout + ran.stderr], [0, ''], unit);
  }
  for (const [unit, most] of [
    ['nixmaker-check.service', 2],
    // It mounts.
    ['nixmaker-repair.service', 2.5],
  ] as const) {
    const text = await bed.sh('systemd-analyze security --no-pager "$1" || true', unit);
    const score = Number(/Overall exposure level for \S+: ([0-9.]+)/.exec(text)?.[1]);
    assert.ok(score <= most, `${unit}: ${score}`);
  }
});
