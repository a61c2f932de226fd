/** Bundles by scp: a real sshd with the lines that the NixOS module makes, its folders as tmpfiles makes them, and a courier. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Bed, startBed } from '../machines/bed.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { moduleOutput } from '../support/module-output.ts';

const shop = await makeWorkshop();
const disk = join(shop.folder, 'bed');
await mkdir(disk);
const bed: Bed = await startBed(disk);
after(() => bed.stop());

const couriers = ['plain', 'optioned', 'elsewhere', 'filed', 'stranger', 'root'] as const;
type Courier = (typeof couriers)[number];
await bed.sh(
  'mkdir -p /keys; for k; do ssh-keygen -q -t ed25519 -N "" -C "$k" -f "/keys/$k"; done',
  ...couriers,
);
const publicKey = async (courier: Courier) => (await bed.sh('cat "/keys/$1.pub"', courier)).trim();
const fileOf = join(shop.folder, 'courier.pub');
await writeFile(fileOf, `${await publicKey('filed')}\n`);

const { files, links, evaluated } = await moduleOutput(
  shop.builder,
  join(shop.folder, 'module'),
  `{ services.openssh.enable = true;
     services.nixmaker = {
       enable = true;
       trustedPublicKeys = [ "${shop.keys.publicKey}" ];
       policy.operation = "switch";
       inbox.authorizedKeys = [
         "${await publicKey('plain')}"
         "from=\\"127.0.0.1\\",no-pty ${await publicKey('optioned')}"
         "from=\\"192.0.2.1\\" ${await publicKey('elsewhere')}"
         (builtins.readFile ${fileOf})
       ];
     };
   }`,
);
const drop = 'nixmaker-drop';
const user = evaluated.users[drop];

/** The machine as NixOS makes it: /etc/ssh/authorized_keys.d, and what it sets for everybody before what modules add. */
async function makeMachine(): Promise<void> {
  for (const [path, text] of Object.entries(files)) await bed.write(path, text);
  for (const [path, to] of Object.entries(links))
    await bed.sh('mkdir -p "${1%/*}"; ln -s "$2" "$1"', path, to);
  // The bed has none: users’ passwords are where NixOS has them.
  await bed.write('/etc/shadow', 'root:*:1::::::\n', '0600');
  await bed.sh(
    `groupadd --system ${drop}; useradd --system --no-create-home --gid ${drop} --home-dir "$1" --shell /usr/sbin/nologin ${drop}
     id sshd >/dev/null 2>&1 || useradd --system --home-dir /run/sshd --shell /usr/sbin/nologin sshd
     mkdir -p /run/sshd /etc/ssh/authorized_keys.d; ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/host_key`,
    user?.home ?? '',
  );
  await bed.write(`/etc/ssh/authorized_keys.d/${drop}`, `${user?.openssh?.authorizedKeys.keys.join('\n')}\n`);
  await bed.write('/etc/ssh/authorized_keys.d/root', `${await publicKey('root')}\n`);
  await setPassword(user?.hashedPassword ?? '');
  await bed.write(
    '/etc/nix/nix.conf',
    `experimental-features = nix-command flakes\nsandbox = false\nsubstituters =\n${evaluated.nixConf}\n`,
  );
  await bed.sh(
    'systemd-tmpfiles --create 10-nixmaker.conf; systemctl daemon-reload; systemctl restart nix-daemon.service; systemctl start multi-user.target nixmaker.service',
  );
}

/** The password’s field in /etc/shadow, as NixOS writes `hashedPassword` there. */
const setPassword = (field: string) =>
  bed.sh(`sed -i "/^${drop}:/d" /etc/shadow; printf '%s:%s:1::::::\\n' ${drop} "$1" >>/etc/shadow`, field);

async function startSshd(more = ''): Promise<void> {
  const config = `Port 2222
ListenAddress 127.0.0.1
HostKey /etc/ssh/host_key
UsePAM no
# Refusals are part of this, and all come from one address.
PerSourcePenalties no
AuthorizedKeysFile %h/.ssh/authorized_keys /etc/ssh/authorized_keys.d/%u
PermitRootLogin prohibit-password
Subsystem sftp /usr/lib/openssh/sftp-server
${more}
${evaluated.sshd}
`;
  await bed.write('/etc/ssh/sshd_test', config);
  await bed.sh(
    'systemctl stop sshd-test.service 2>/dev/null || true; systemd-run --quiet --collect --unit sshd-test.service /usr/sbin/sshd -D -e -f /etc/ssh/sshd_test',
  );
  await bed.until('ssh-keyscan -p 2222 127.0.0.1 2>/dev/null | grep -q ssh-ed25519');
}

const optionsFor = (courier: Courier) =>
  `-i /keys/${courier} -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR`;
const ssh = (courier: Courier, rest: string, who = drop) =>
  bed.run(['sh', '-c', `ssh -p 2222 ${optionsFor(courier)} ${who}@127.0.0.1 ${rest} </dev/null`]);
const scp = (courier: Courier, from: string, to: string) =>
  bed.run(['sh', '-c', `scp -P 2222 ${optionsFor(courier)} ${from} ${to}`]);
const sftp = (courier: Courier, batch: string) =>
  bed.run(['sftp', '-q', '-P', '2222', ...optionsFor(courier).split(' '), '-b', '-', `${drop}@127.0.0.1`], {
    input: `${batch}\n`,
  });

test('what a courier copies into the inbox by scp becomes the running system', async () => {
  await makeMachine();
  await startSshd();
  const path = await shop.bundle('one', { hosts: { web: plainHost('web', 'one') } });
  await bed.write('/home/web.tar', await readFile(path));
  const copied = await scp('plain', '/home/web.tar', `${drop}@127.0.0.1:inbox/`);
  assert.equal(copied.code, 0, copied.stderr);
  await bed.until('test -e /var/lib/nixmaker/inbox/done/web.tar.txt');
  assert.match(await bed.sh('cat /var/lib/nixmaker/inbox/done/web.tar.txt'), /^DONE\n/);
});

test('keys with options of their own, and from a file, are good for the same', async () => {
  await bed.sh('echo none >/home/some.part');
  for (const courier of ['optioned', 'filed'] as const) {
    const copied = await scp(courier, '/home/some.part', `${drop}@127.0.0.1:inbox/.${courier}.part`);
    assert.equal(copied.code, 0, courier + copied.stderr);
    assert.equal(
      await bed.sh(
        'setpriv --reuid nixmaker --regid nixmaker --clear-groups cat "/var/lib/nixmaker/inbox/.$1.part"',
        courier,
      ),
      'none\n',
    );
  }
  const put = await sftp('optioned', 'put /home/some.part inbox/.by-sftp.part\nrm inbox/.by-sftp.part');
  assert.equal(put.code, 0, put.stderr);
});

test('a key’s own options stay in force, and others’ keys are none', async () => {
  for (const courier of ['elsewhere', 'stranger'] as const) {
    const refused = await scp(courier, '/home/some.part', `${drop}@127.0.0.1:inbox/.no.part`);
    assert.notEqual(refused.code, 0, courier);
    assert.match(refused.stderr, /Permission denied/, courier);
  }
});

test('there is no shell, no terminal and no way through the machine', async () => {
  const shown = await ssh('root', 'id', 'root');
  assert.match(shown.stdout, /^uid=0/, 'control: a key that may gets one');
  for (const courier of ['plain', 'optioned', 'filed'] as const)
    for (const rest of ['id', '-tt id', '-tt']) {
      const ran = await ssh(courier, rest);
      assert.doesNotMatch(ran.stdout, /uid=|\$ /, courier + rest);
    }
  const through = await ssh('root', '-W 127.0.0.1:2222', 'root');
  assert.match(through.stdout, /^SSH-2\.0/, 'control: a key that may gets through');
  const held = await ssh('plain', '-W 127.0.0.1:2222');
  assert.notEqual(held.code, 0);
  assert.equal(held.stdout, '');
  const back = await ssh('plain', '-o ExitOnForwardFailure=yes -N -R 9998:127.0.0.1:2222');
  assert.notEqual(back.code, 0);
  assert.match(back.stderr, /remote port forwarding failed/);
});

test('nothing is seen of the machine but its folders’ names, and nothing written but in the inbox', async () => {
  const stolen = await scp('plain', `${drop}@127.0.0.1:/etc/shadow`, '/home/stolen');
  assert.notEqual(stolen.code, 0);
  for (const batch of [
    'get /etc/shadow /home/stolen',
    'get ../../../etc/shadow /home/stolen',
    'ls state',
    'get state/journal /home/stolen',
    'ls activation',
    'get activation/journal /home/stolen',
    'put /home/some.part x.tar',
    'put /home/some.part state/x',
    'chmod 777 inbox',
    'symlink /etc/shadow state/x',
  ]) {
    const ran = await sftp('plain', batch);
    assert.notEqual(ran.code, 0, `${batch}: ${ran.stdout}`);
  }
  await bed.sh('test ! -e /home/stolen && test -e /var/lib/nixmaker/inbox/done/web.tar.txt');
  const listed = await sftp('plain', 'ls -1 /');
  assert.match(listed.stdout, /inbox/);
  assert.doesNotMatch(listed.stdout, /etc|root|nix\//);
});

test('one key is enough for a courier, whatever the machine asks of others', async () => {
  await startSshd('AuthenticationMethods publickey,password');
  const copied = await scp('plain', '/home/some.part', `${drop}@127.0.0.1:inbox/.two.part`);
  assert.equal(copied.code, 0, copied.stderr);
  assert.notEqual((await ssh('root', 'id', 'root')).code, 0, 'control: of others it is asked');
});

test('without PAM a locked password would keep couriers out, which is why there is none', async () => {
  assert.equal(user?.hashedPassword, '*');
  await startSshd();
  await setPassword('!');
  const locked = await scp('plain', '/home/some.part', `${drop}@127.0.0.1:inbox/.three.part`);
  assert.match(locked.stderr, /Permission denied/);
  await setPassword('*');
  const copied = await scp('plain', '/home/some.part', `${drop}@127.0.0.1:inbox/.three.part`);
  assert.equal(copied.code, 0, copied.stderr);
});
