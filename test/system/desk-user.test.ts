/**
 * The whole desk as an ordinary user, whom the nix-daemon does not trust; and by sudo, which leaves nothing of root’s behind in a user’s home.
 */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Bed, startBed } from '../machines/bed.ts';
import { makeWorkplace, plainHost, writeFlake } from '../support/fleet.ts';
import { install } from '../support/receipts.ts';

const folder = await makeWorkplace();
const disk = join(folder, 'bed');
await mkdir(disk);
const flake = await writeFlake(join(folder, 'flake'), {
  hosts: { web: plainHost('web', 'one'), mail: plainHost('mail', 'two') },
});
const bed: Bed = await startBed(disk, [`${flake}:/srv/fleet`]);
after(() => bed.stop());

await bed.write(
  '/etc/nix/nix.conf',
  'experimental-features = nix-command flakes\nsubstituters =\ntrusted-users = root\nsandbox = false\nbuild-users-group = nixbld\n',
);
await bed.sh(
  `groupadd alice; useradd --gid alice --home-dir /home/alice --shell /bin/bash alice; install -d -o alice -g alice /home/alice /home/alice/stick
   systemctl restart nix-daemon.service nix-daemon.socket`,
);
await bed.write('/tmp/receipt.json', install('web').sign({ number: 1 }));
await bed.sh(
  `install -d -o alice -g alice /home/alice/stick/nixmaker /home/alice/stick/nixmaker/receipts /home/alice/stick/nixmaker/receipts/web
   install -o alice -g alice -m 644 /tmp/receipt.json /home/alice/stick/nixmaker/receipts/web/1.json`,
);

const environment = [
  'env',
  '-i',
  'PATH=/usr/bin:/bin',
  'HOME=/home/alice',
  'LC_ALL=C.UTF-8',
  'NIX_REMOTE=daemon',
];
const asAlice = ['setpriv', '--reuid', 'alice', '--regid', 'alice', '--init-groups', ...environment];
/** As sudo(8) calls it where it keeps the caller’s home. */
const bySudo = async () => {
  const id = async (what: string) => (await bed.sh(`id ${what} alice`)).trim();
  return [...environment, `SUDO_UID=${await id('-u')}`, `SUDO_GID=${await id('-g')}`, 'SUDO_USER=alice'];
};
async function inHome(as: readonly string[], script: string): Promise<string> {
  const ran = await bed.run([...as, 'sh', '-euc', `cd; ${script}`]);
  assert.equal(ran.code, 0, `${script}: ${ran.stdout}${ran.stderr}`);
  return ran.stdout + ran.stderr;
}
const strangers = () =>
  bed.sh('find /home/alice -path /home/alice/stick -prune -o ! -user alice -print | sort');

test('a user whom the daemon does not trust builds, puts, verifies and collects', async () => {
  assert.match(await inHome(asAlice, 'nix store info --json'), /"trusted":0|"trusted":false/);
  await inHome(asAlice, 'nixmaker keygen fleet-1');
  assert.equal(await bed.sh('stat --format="%a %U" /home/alice/fleet-1.secret'), '600 alice\n');
  const build = 'nixmaker build -f path:/srv/fleet -d out --key fleet-1.secret';
  // nix-daemon --stdio asks the machine’s own daemon what nix-store would be started for.
  await bed.sh('install -d /opt/watched');
  const watched = '#!/bin/sh\necho "$*" >>/tmp/asked\nexec /usr/bin/nix-store "$@"\n';
  await bed.write('/opt/watched/nix-store', watched, '0755');
  await bed.sh('install -m 666 /dev/null /tmp/asked');
  const built = await inHome(asAlice, `PATH=/opt/watched:$PATH ${build}`);
  assert.equal(await bed.sh('cat /tmp/asked'), '');
  assert.match(built, /^web +built +1 .*fleet-1/m);
  // The machine has no network, which Nix says.
  const others = built.replace(/^warning: you don't have Internet access.*\n/m, '');
  assert.doesNotMatch(others, /warning|note:/);
  assert.match(await inHome(asAlice, `${build} --content derivation -d recipes`), /^mail +built +1 /m);
  await inHome(
    asAlice,
    'for b in out/*/*.tar recipes/*/*.tar; do nixmaker verify --key fleet-1.public $b; done',
  );
  assert.match(
    await inHome(asAlice, 'nixmaker put stick --plain-folder out/*/*.tar'),
    /^web +1 .*written and read back$/m,
  );
  assert.match(
    await inHome(asAlice, 'nixmaker collect stick --enrol'),
    /^web +1 +done +new, host enrolled$/m,
  );
  assert.match(await inHome(asAlice, 'nixmaker fleet --html fleet.html; nixmaker fleet'), /^web +well /m);
  assert.equal(await strangers(), '');
  assert.deepEqual((await bed.sh('ls -A /home/alice/out')).trim().split('\n'), ['mail', 'web']);
});

test('by sudo a key belongs to whoever called it, and what is kept of a build goes to root’s own home', async () => {
  const sudo = await bySudo();
  await bed.sh('rm -r /home/alice/.cache /root/.cache 2>/dev/null || true');
  await inHome(sudo, 'nixmaker keygen fleet-2; nixmaker keygen fleet-3 --out keys/new');
  assert.equal(await strangers(), '');
  assert.equal(await bed.sh('stat --format="%a" /home/alice/keys/new/fleet-3.secret'), '600\n');
  const built = await inHome(
    sudo,
    'nixmaker build -f path:/srv/fleet -d /srv/out --key fleet-2.secret; nixmaker put stick --plain-folder /srv/out/*/*.tar --keep 2',
  );
  assert.match(built, /^web +built +1 .*fleet-2/m);
  assert.match(await bed.sh('ls /root/.cache/nixmaker/nars'), /^[0-9a-f]{32}$/m);
  assert.equal(await bed.sh('ls -A /home/alice/.cache 2>/dev/null || true'), '');
  // What root makes in a folder of theirs is theirs as well, and what else of root’s is there stays root’s.
  await bed.sh(
    'mkdir -p /home/alice/work/web; echo kept >/home/alice/work/kept; ln /home/alice/work/kept /home/alice/work/web/meta2; ln -s /etc /home/alice/work/mail; chown alice: /home/alice/work /home/alice/work/web',
  );
  await inHome(
    sudo,
    'cd work; nixmaker build -f path:/srv/fleet --host web --key ../fleet-2.secret; cd; nixmaker collect stick --enrol -d fleet2; nixmaker fleet expect mail -d fleet2',
  );
  assert.equal(
    await strangers(),
    '/home/alice/work/kept\n/home/alice/work/mail\n/home/alice/work/web/meta2\n',
  );
  assert.equal(await bed.sh('stat --format=%U /etc /etc/passwd'), 'root\nroot\n');
  await inHome(
    asAlice,
    'nixmaker collect stick -d fleet2; cd work; nixmaker build -f path:/srv/fleet --host web --key ../fleet-2.secret',
  );
  // And the user goes on.
  const again = await inHome(asAlice, 'nixmaker build -f path:/srv/fleet -d out --key fleet-2.secret');
  assert.doesNotMatch(again, /can’t be used|note:/);
  assert.match(await bed.sh('stat --format=%U /home/alice/.cache/nixmaker/nars'), /^alice$/m);
});
