/** Bundles on media that somebody else mounts, as a desktop does, under a real systemd and in the service’s own confinement. */
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startBed, unitText } from '../machines/bed.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const shop = await makeWorkshop();
const disk = join(shop.folder, 'bed');
await mkdir(disk);
const bed = await startBed(disk);
after(() => bed.stop());

await bed.write(
  '/etc/nix/nix.conf',
  `experimental-features = nix-command flakes\nsandbox = false\nsubstituters =\ntrusted-public-keys = ${shop.keys.publicKey}\n`,
);
const policy = { schema: 1, host: 'web', operation: 'switch', trustedKeys: [shop.keys.publicKey] };
await bed.write('/etc/nixmaker/policy.json', JSON.stringify(policy));
await bed.write('/etc/nixmaker/settings.json', JSON.stringify({ media: { roots: ['/run/media'] } }));
for (const unit of [
  'nixmaker.service',
  'nixmaker-activate.path',
  'nixmaker-activate.service',
  'nixmaker-confirm.service',
])
  await bed.write(`/etc/systemd/system/${unit}`, unitText(unit));

const release = (name: string, sequence: number, host = 'web') =>
  shop.bundle(name, {
    hosts: { [host]: plainHost(host, name) },
    host,
    args: ['--sequence', String(sequence)],
  });

/** A stick with these files, in a drawer. */
async function makeStick(name: string, files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  await bed.sh('mkdir -p "/drawer/$1"; mount -t tmpfs stick "/drawer/$1"', name);
  for (const [path, contents] of Object.entries(files)) await bed.write(`/drawer/${name}/${path}`, contents);
}
const plug = (name: string, place: string) =>
  bed.sh('mkdir -p "$2"; mount --bind -o ro "/drawer/$1" "$2"', name, place);
/** As a person does: what is being read at this moment can't be unmounted, and must be let go soon. */
const pull = (place: string) => bed.until('umount "$1"', place);
const runs = async () => (await bed.sh('cat /run/current-system/etc/motd')).trim();
const log = () => bed.sh('journalctl --no-pager --unit nixmaker --output=cat');
const settled = (count: number) =>
  bed.until(
    'test "$(journalctl --no-pager --unit nixmaker --output=cat | grep -c \'"event":"bundle-done"\')" -eq "$1"',
    String(count),
  );

const place = '/run/media/anna/Stick der Brücke 🚢';

test('a medium that was there before the agent is read, wherever it is below the roots', async () => {
  await makeStick('first', { 'web.tar': await readFile(await release('one', 0)) });
  await plug('first', '/run/media/early');
  await bed.sh('systemctl daemon-reload; systemctl start nixmaker-activate.path nixmaker.service');
  await settled(1);
  assert.equal(await runs(), 'one');
});

test('of all on a stick the highest sequence for this host is taken, the rest in silence', async () => {
  await makeStick('fleet', {
    'web-2.tar': await readFile(await release('two', 10)),
    'new/web-3.tar': await readFile(await release('three', 20)),
    'web-1.tar': await readFile(await release('one', 0)),
    'mail.tar': await readFile(await release('mail', 50, 'mail')),
    '._web-3.tar': 'litter',
    'holiday.tar': Buffer.alloc(20_000, 'x'),
    'letter.txt': 'dear Anna',
  });
  await bed.sh('mkfifo /drawer/fleet/pipe.tar; ln -s /etc/shadow /drawer/fleet/link.tar');
  const before = performance.now();
  await plug('fleet', place);
  await settled(2);
  assert.ok(performance.now() - before < 15_000);
  assert.equal(await runs(), 'three');
  const said = (await log()).split('\n').filter((line) => line.includes('/run/media/anna'));
  assert.ok(
    !said.some((line) => /mail\.tar|holiday|\._web|letter/.test(line)),
    'unrelated files are passed over in silence',
  );
  assert.deepEqual(
    (await bed.sh('ls -A "$1"', place)).trim().split('\n').sort(),
    [
      '._web-3.tar',
      'holiday.tar',
      'letter.txt',
      'link.tar',
      'mail.tar',
      'new',
      'pipe.tar',
      'web-1.tar',
      'web-2.tar',
    ],
    'nothing was moved or written',
  );
});

test('inspect says what is on a stick, and, with the policy, what this machine would do with it', async () => {
  const plain = await bed.sh('nixmaker inspect "$1"', place);
  assert.match(plain, /^mail\.tar +mail +51 .*signed by fleet-1\?$/m);
  assert.match(plain, /^holiday\.tar +- +- .*not-a-bundle$/m);
  const judged = await bed.sh('nixmaker inspect --policy /etc/nixmaker/policy.json "$1"', place);
  assert.match(judged, /^new\/web-3\.tar +web +21 +already done/m);
  assert.match(judged, /^web-2\.tar +web +11 +refuse +sequence-older: /m);
  assert.match(judged, /^mail\.tar +mail +51 +for another host/m);
  assert.match(judged, /^pipe\.tar +- +- +unusable +not-a-bundle/m);
});

test('the same stick again and again changes nothing', async () => {
  const history = await bed.sh('nixmaker history');
  for (let i = 0; i < 5; i++) {
    await pull(place);
    await plug('fleet', place);
  }
  // What comes after it has been looked at, it has been looked at as well.
  await makeStick('next', { 'web.tar': await readFile(await release('four', 30)) });
  await plug('next', '/run/media/next');
  await settled(3);
  assert.equal(await runs(), 'four');
  const lines = (text: string) => text.trimEnd().split('\n').length;
  assert.equal(lines(await bed.sh('nixmaker history')), lines(history) + 1);
});

test('a tampered bundle on a stick is named with its code, once, and nothing is taken', async () => {
  const bundle = Buffer.from(await readFile(await release('five', 40)));
  bundle[bundle.indexOf('"sequence"') + 12] = 0x39;
  await makeStick('bad', { 'web.tar': bundle });
  await plug('bad', '/run/media/bad');
  await bed.until('journalctl --no-pager --unit nixmaker --output=cat | grep -q media/bad.*passed-over');
  const named = (await log()).split('\n').filter((line) => line.includes('/run/media/bad/'));
  assert.equal(named.length, 1);
  assert.match(named[0] ?? '', /signature-invalid.*passed-over/);
  assert.equal(await runs(), 'four');
});

test('an agent that waits for media does nothing while there are none', async () => {
  const pid = (await bed.sh('systemctl show --property MainPID --value nixmaker.service')).trim();
  const ticks = async () => {
    const [user, system] = (await bed.sh('cut -d" " -f14,15 "/proc/$1/stat"', pid)).split(' ');
    return Number(user) + Number(system);
  };
  // No condition to wait for: what is looked at is that nothing happens. What the tests before have begun may still be ending.
  const spent: number[] = [];
  while (spent.length < 5 && (spent.at(-1) ?? 3) > 2) {
    const before = await ticks();
    await bed.sh('sleep 3');
    spent.push((await ticks()) - before);
  }
  assert.ok((spent.at(-1) ?? 3) <= 2, `clock ticks of 10 ms in 3 s each: ${spent.join(', ')}`);
});
