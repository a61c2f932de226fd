/** The NixOS module’s own output on a real systemd: its units, drop-ins, users, tmpfiles, udev rules, policy and settings. */
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Bed, startBed } from '../machines/bed.ts';
import { run } from '../machines/program.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { freePort } from '../support/free-port.ts';
import { moduleOutput } from '../support/module-output.ts';

const shop = await makeWorkshop();
const port = await freePort('127.0.0.1');
const { files, links, evaluated } = await moduleOutput(
  shop.builder,
  join(shop.folder, 'module'),
  `{ services.openssh.enable = true; users.users.alice = { };
     services.nixmaker = {
       enable = true;
       trustedPublicKeys = [ "${shop.keys.publicKey}" ];
       policy.operation = "switch";
       media.enable = true;
       health.units = [ "nix-daemon.socket" ];
       serve = { enable = true; port = ${port}; listen = "127.0.0.1"; };
       fetch.servers = [ { url = "http://127.0.0.1:${port}"; } ];
       inbox = { users = [ "alice" ]; authorizedKeys = [ "ssh-ed25519 AAAA courier" ]; };
     };
   }`,
);
const disk = join(shop.folder, 'bed');
await mkdir(disk);
const bed: Bed = await startBed(disk);
after(() => bed.stop());

const units = Object.keys(files).flatMap((path) => /\/system\/(nixmaker[^/]*)$/.exec(path)?.[1] ?? []);

test('users, folders and rules are such as systemd’s own tools take them', async () => {
  for (const [path, text] of Object.entries(files)) await bed.write(path, text);
  for (const [path, to] of Object.entries(links))
    await bed.sh('mkdir -p "${1%/*}"; ln -s "$2" "$1"', path, to);
  // The bed has a user of the agent’s name already; the others are made as NixOS would.
  for (const [name, { members }] of Object.entries(evaluated.groups)) {
    await bed.sh('grep -q "^$1:" /etc/group || groupadd --system "$1"', name);
    for (const member of members)
      await bed.sh(
        'id "$1" >/dev/null 2>&1 || useradd "$1"; usermod --append --groups "$2" "$1"',
        member,
        name,
      );
  }
  for (const [name, { group = '' }] of Object.entries(evaluated.users))
    await bed.sh('id "$1" >/dev/null 2>&1 || useradd --system --gid "$2" "$1"', name, group);
  const dry = await bed.run(['systemd-tmpfiles', '--create', '--dry-run', '10-nixmaker.conf']);
  assert.equal(dry.code, 0, dry.stdout + dry.stderr);
  await bed.sh('systemd-tmpfiles --create 10-nixmaker.conf');
  assert.equal(
    await bed.sh('stat --format="%A %U %G" /var/lib/nixmaker/inbox'),
    'drwxrws--T nixmaker nixmaker-drop\n',
  );
});

test('the units are quiet under systemd-analyze verify, and as shut in as those of systemd/', async () => {
  await bed.write(
    '/etc/nix/nix.conf',
    `experimental-features = nix-command flakes\nsandbox = false\nsubstituters =\ntrusted-public-keys = ${evaluated.nixKeys.join(' ')}\n${evaluated.nixConf}\n`,
  );
  await bed.sh('systemctl daemon-reload');
  assert.ok(units.length >= 9, units.join());
  for (const unit of units) {
    const ran = await bed.run(['systemd-analyze', 'verify', unit.replace('@.', '@sdb1.')]);
    assert.deepEqual([ran.code, ran.stdout + ran.stderr], [0, ''], unit);
  }
  for (const [unit, most] of [
    ['nixmaker.service', 1.5],
    ['nixmaker-activate.service', 2],
    ['nixmaker-confirm.service', 2],
    ['nixmaker-deadline.service', 2],
    ['nixmaker-fetch.service', 2.5],
    ['nixmaker-serve.service', 2.5],
  ] as const) {
    const text = await bed.sh('systemd-analyze security --no-pager "$1" || true', unit);
    assert.ok(Number(/Overall exposure level for \S+: ([0-9.]+)/.exec(text)?.[1]) <= most, text);
  }
});

test('started as NixOS starts them, they take what a member of the group drops under a strict umask', async () => {
  await bed.sh('systemctl restart nix-daemon.service');
  await bed.until('test -e /var/lib/nixmaker/activation/store-key.conf');
  await bed.sh(
    'systemctl start multi-user.target; systemctl is-active nixmaker.service nixmaker-activate.path',
  );
  const path = await shop.bundle('one', { hosts: { web: plainHost('web', 'one') } });
  await bed.write('/home/web.tar', await readFile(path));
  await bed.sh(
    'setpriv --reuid alice --regid alice --init-groups sh -c "umask 077; cp /home/web.tar /var/lib/nixmaker/inbox/"',
  );
  await bed.until('test -e /var/lib/nixmaker/inbox/done/web.tar.txt');
  assert.match(await bed.sh('cat /var/lib/nixmaker/inbox/done/web.tar.txt'), /^DONE\n/);
  assert.match(await bed.sh('cat /run/current-system/etc/motd'), /^one/);
  assert.match(await bed.sh('nixmaker status'), /Sequence: +1$/m);
});

test('a gateway serves, this machine fetches and takes, and its receipt comes home, each as a user of its own', async () => {
  const bundle = await shop.bundle('two', {
    hosts: { web: plainHost('web', 'two') },
    args: ['--sequence', '1'],
  });
  const stick = join(shop.folder, 'stick');
  await mkdir(stick);
  const put = await shop.builder.nixmaker(['put', stick, bundle]);
  assert.equal(put.code, 0, put.stderr);
  const archive = join(shop.folder, 'stick.tar');
  assert.equal((await run('tar', ['-C', stick, '-cf', archive, '.'])).code, 0);
  await bed.write('/home/stick.tar', await readFile(archive));
  await bed.sh(
    'mkdir /srv/nixmaker; tar -C /srv/nixmaker -xf /home/stick.tar; chown -R nixmaker-serve: /srv/nixmaker',
  );
  await bed.sh('systemctl restart nixmaker-serve.service; systemctl is-active nixmaker-serve.service');
  await bed.until('journalctl --unit nixmaker-serve --output cat | grep -q serving');
  const fetch = async () => {
    await bed.sh('systemctl start nixmaker-fetch.service');
    await bed.until('! systemctl is-active --quiet nixmaker-fetch.service');
  };
  await fetch();
  await bed.until('grep -q ^two /run/current-system/etc/motd');
  await bed.until('test -e /var/lib/nixmaker/fetched/nixmaker/receipts/web/2.json');
  await fetch();
  assert.match(await bed.sh('ls /srv/nixmaker/nixmaker/receipts/web'), /^2\.json$/m);
  const said = await bed.sh(
    'stat --format="%U" /srv/nixmaker/nixmaker/receipts/web/2.json /var/lib/nixmaker/fetched',
  );
  assert.equal(said, 'nixmaker-serve\nnixmaker-fetch\n');
});

test('a server that is gone fails no unit', async () => {
  await bed.sh('systemctl stop nixmaker-serve.service; systemctl start nixmaker-fetch.service');
  await bed.until('! systemctl is-active --quiet nixmaker-fetch.service');
  assert.match(await bed.sh('journalctl --unit nixmaker-fetch --output cat'), /source-unreachable/);
  await bed.sh('! systemctl is-failed nixmaker-fetch.service');
});

test('a restart of the agent leaves the inbox to its group', async () => {
  await bed.sh('systemctl restart nixmaker.service');
  assert.equal(
    await bed.sh('stat --format="%A %U %G" /var/lib/nixmaker/inbox'),
    'drwxrws--T nixmaker nixmaker-drop\n',
  );
  const outsider = await bed.run([
    'setpriv',
    '--reuid',
    'nobody',
    '--clear-groups',
    'touch',
    '/var/lib/nixmaker/inbox/x.tar',
  ]);
  assert.notEqual(outsider.code, 0);
});
