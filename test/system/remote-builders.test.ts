/**
 * A desk that builds nothing itself, and two builders that it reaches by ssh alone, as Nix’s remote builders: what of a bundle needs them,
 * what is said where they can’t be reached, and that what they build is what a bundle holds.
 */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Bed, startBed } from '../machines/bed.ts';
import { nixSystem, run } from '../machines/program.ts';
import { makeWorkplace, plainHost, writeFlake } from '../support/fleet.ts';

const folder = await makeWorkplace();
const names = ['one', 'two', 'three', 'four'] as const;
const flake = await writeFlake(join(folder, 'flake'), {
  hosts: Object.fromEntries(names.map((name) => [name, plainHost(name, name)])),
});

async function boot(name: string): Promise<Bed> {
  const disk = join(folder, name);
  await mkdir(disk);
  const bed = await startBed(disk, [`${flake}:/srv/fleet`]);
  after(() => bed.stop());
  return bed;
}

const desk = await boot('desk');
const builders = [await boot('builder-1'), await boot('builder-2')] as const;

const nixConf = (more: string) => `experimental-features = nix-command flakes
substituters =
sandbox = false
build-users-group = nixbld
trusted-users = root
connect-timeout = 5
${more}
`;

/** A cable between the desk and a builder. */
async function connect(builder: Bed, i: number): Promise<void> {
  const ip = async (bed: Bed | undefined, ...args: string[]) => {
    const within = bed === undefined ? [] : ['nsenter', '--target', String(bed.init), '--net'];
    const [program = '', ...rest] = [...within, 'ip', ...args];
    const ran = await run(program, rest);
    assert.equal(ran.code, 0, ran.stderr);
  };
  const [here, there] = [`nm${process.pid % 10_000}d${i}`, `nm${process.pid % 10_000}b${i}`];
  await ip(undefined, 'link', 'add', here, 'type', 'veth', 'peer', 'name', there);
  for (const [bed, name, address] of [
    [desk, here, `192.0.2.${4 * i + 1}/30`],
    [builder, there, `192.0.2.${4 * i + 2}/30`],
  ] as const) {
    await ip(undefined, 'link', 'set', name, 'netns', String(bed.init));
    await ip(bed, 'address', 'add', address, 'dev', name);
    await ip(bed, 'link', 'set', name, 'up');
    await ip(bed, 'link', 'set', 'lo', 'up');
  }
}

const sshd = `Port 22
HostKey /etc/ssh/host_key
UsePAM no
PermitRootLogin prohibit-password
AuthorizedKeysFile /etc/ssh/authorized_keys
`;

await desk.sh('mkdir -p /root/.ssh; ssh-keygen -q -t ed25519 -N "" -f /root/.ssh/builders');
const publicKey = await desk.sh('cat /root/.ssh/builders.pub');
const machines: string[] = [];
for (const [i, builder] of builders.entries()) {
  await connect(builder, i);
  await builder.write('/etc/nix/nix.conf', nixConf(''));
  await builder.write('/etc/shadow', 'root:*:1::::::\n', '0600');
  await builder.write('/etc/ssh/sshd_test', sshd);
  await builder.write('/etc/ssh/authorized_keys', publicKey);
  const hostKey = await builder.sh(
    'useradd --system --home-dir /run/sshd --shell /usr/sbin/nologin sshd; ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/host_key; base64 -w0 /etc/ssh/host_key.pub',
  );
  machines.push(
    `ssh-ng://root@192.0.2.${4 * i + 2} ${nixSystem} /root/.ssh/builders 1 1 - - ${hostKey.trim()}`,
  );
}
await desk.write('/etc/nix/machines', `${machines.join('\n')}\n`);
await desk.write('/etc/nix/nix.conf', nixConf('max-jobs = 0\nbuilders = @/etc/nix/machines'));
await desk.sh('systemctl restart nix-daemon.service nix-daemon.socket; cd /srv; nixmaker keygen fleet-1');

const build = (out: string, ...more: string[]) =>
  desk.run(
    ['nixmaker', 'build', '-f', 'path:/srv/fleet', '-d', out, '--key', '/srv/fleet-1.secret', ...more],
    { env: {} },
  );
/** Of the sample’s packages and systems. */
const builtOn = async (bed: Bed) =>
  (
    await bed.sh(
      'ls -d /nix/store/*-nixos-system-*[0-9] /nix/store/*-sample-base-* 2>/dev/null | grep -v "\\.drv$" || true',
    )
  )
    .split('\n')
    .filter((line) => line !== '');

test('recipes are carried without a builder; what has to be built says which can’t be reached', async () => {
  const recipes = await build('/srv/recipes', '--content', 'derivation');
  assert.equal(recipes.code, 0, recipes.stderr);
  assert.match(recipes.stdout, /^two +built +1 /m);
  const closures = await build('/srv/out', '--host', 'one');
  assert.equal(closures.code, 1, closures.stdout);
  assert.match(closures.stderr, /\((build-failed|nix-unavailable)\)/, closures.stderr);
  assert.match(closures.stderr, /192\.0\.2\.\d|builder|machine/i, closures.stderr);
});

test('two builders build the fleet, and the desk packs and signs what comes back', async () => {
  for (const builder of builders)
    await builder.sh(
      'mkdir -p /run/sshd; systemd-run --quiet --collect --unit sshd-test.service /usr/sbin/sshd -D -e -f /etc/ssh/sshd_test',
    );
  for (const i of builders.keys())
    await desk.until(`ssh-keyscan -t ed25519 192.0.2.${4 * i + 2} 2>/dev/null | grep -q ed25519`);
  const ran = await build('/srv/out');
  assert.equal(ran.code, 0, ran.stderr);
  for (const name of names) assert.match(ran.stdout, new RegExp(`^${name} +built +1 .*fleet-1`, 'm'));
  const [first, second] = [await builtOn(builders[0]), await builtOn(builders[1])];
  assert.ok(first.length > 0, `the second alone: ${second.join(' ')}`);
  assert.deepEqual(
    (await builtOn(desk)).filter((path) => ![...first, ...second].includes(path)),
    [],
    'the desk has built nothing',
  );
  await desk.sh(
    'for b in /srv/out/*/*.tar /srv/recipes/*/*.tar; do nixmaker verify --key /srv/fleet-1.public $b; done',
  );
  // The same as a machine builds that has no builders.
  await desk.write('/etc/nix/nix.conf', nixConf('max-jobs = 1\nbuilders ='));
  const alone = await boot('alone');
  await alone.write('/etc/nix/nix.conf', nixConf(''));
  await alone.sh('nixmaker build -f path:/srv/fleet -d /srv/out --host one');
  const tops = await Promise.all(
    [desk, alone].map((bed) => bed.sh('tar -xOf /srv/out/one/one.tar index | sha256sum')),
  );
  assert.equal(tops[0], tops[1]);
});
