/** What services.nixmaker asks of the machine around it: its Nix, boot loader, users, sshd and disks. Evaluated as in module.test.ts. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeBuilder } from '../machines/builder.ts';
import { checkout } from '../machines/program.ts';
import { makeWorkplace } from '../support/fleet.ts';
import {
  moduleKey as key,
  moduleMachine as machine,
  moduleSshKey as ssh,
} from '../support/module-machine.ts';
import { evaluateModule, tmpfilesText } from '../support/module-output.ts';

const builder = await makeBuilder(join(await makeWorkplace(), 'builder'));

test('the store key can be left out', async () => {
  const with_ = await evaluateModule(builder, machine());
  assert.match(with_.nixConf, /^!include \/var\/lib\/nixmaker\/activation\/store-key\.conf$/m);
  const without = await evaluateModule(builder, machine('storeKey = false;'));
  assert.equal(without.nixConf, '');
  assert.deepEqual(without.services['nixmaker-store-key']?.wantedBy, []);
});

test('starts are counted where that is asked for, and never unasked', async () => {
  const systemdBoot = { others: 'boot.loader.systemd-boot.enable = true;' };
  assert.equal((await evaluateModule(builder, machine('', systemdBoot))).bootCounting, false);
  const counted = await evaluateModule(builder, machine('bootCounting = true;', systemdBoot));
  assert.deepEqual([counted.bootCounting, counted.failed], [true, []]);
  const older = { args: 'hasBootCounting = false;' };
  assert.equal((await evaluateModule(builder, machine('', systemdBoot), older)).bootCounting, null);
});

test('who may drop bundles: a group, and those who can copy and nothing else', async () => {
  const options = `inbox = {
    users = [ "alice" ];
    authorizedKeys = [
      "ssh-ed25519 AAAA courier"
      "from=\\"192.0.2.1\\",no-pty ssh-ed25519 AAAB courier"
      "sk-ssh-ed25519@openssh.com AAAC\\n"
    ];
  };`;
  const others = 'services.openssh.enable = true; users.users.alice = { };';
  const { groups, users, tmpfiles, sshd, failed } = await evaluateModule(
    builder,
    machine(options, { others }),
  );
  assert.deepEqual(failed, []);
  assert.deepEqual(groups['nixmaker-drop']?.members, ['alice']);
  assert.match(
    tmpfilesText(tmpfiles['10-nixmaker'] ?? {}),
    /^'d' '\/var\/lib\/nixmaker\/inbox' '3770' 'nixmaker' 'nixmaker-drop' '-'$/m,
  );
  assert.equal(
    tmpfiles['10-nixmaker']?.['/var/lib/nixmaker/state']?.['a+']?.argument,
    'user:nixmaker-drop:---',
    'a courier does not read what the machine’s users may',
  );
  assert.deepEqual(users['nixmaker-drop']?.openssh?.authorizedKeys.keys, [
    'restrict ssh-ed25519 AAAA courier',
    'restrict,from="192.0.2.1",no-pty ssh-ed25519 AAAB courier',
    'restrict sk-ssh-ed25519@openssh.com AAAC',
  ]);
  assert.equal(users['nixmaker-drop']?.hashedPassword, '*', 'neither a password, nor locked');
  assert.match(
    sshd,
    /^Match User nixmaker-drop\n +AuthenticationMethods publickey\n +ForceCommand internal-sftp/m,
  );
  assert.match(sshd, /^ *Match All$/m, 'what follows is for everybody again');
  const plain = await evaluateModule(builder, machine());
  assert.equal(plain.sshd, '');
  assert.equal(plain.users['nixmaker-drop'], undefined);
});

test('keys that were read from files lose the ends of their lines', async () => {
  const file = join(await makeWorkplace(), 'fleet-1.public');
  writeFileSync(file, `${key}\n`);
  const keys = `(builtins.readFile ${file}) { key = "${ssh}\\n"; }`;
  const { nixKeys, policy, failed } = await evaluateModule(builder, machine('', { keys }));
  assert.deepEqual([nixKeys, failed], [[key], []]);
  const [, path = ''] = /cp (\S+) policy\.json/.exec(policy) ?? [];
  const text = await builder.run(['cat', path]);
  assert.match(text.stdout, /fleet-1/);
  assert.doesNotMatch(text.stdout, /\\n/);
});

test('Nix is told to flush what it stores, where it knows how to', async () => {
  for (const [name, version, knows] of [
    ['nix', '2.34.0', true],
    ['nix', '2.25.0', true],
    ['nix', '2.24.9', false],
    ['lix', '2.95.0', false],
    ['determinate-nix', '3.11.0', true],
  ] as const) {
    const others = `nix.package = pkgs.nixCalled "${name}" "${version}";`;
    const { nixSettings } = await evaluateModule(builder, machine('', { others }));
    assert.equal(nixSettings['fsync-store-paths'], knows ? true : undefined, `${name} ${version}`);
  }
  const own = await evaluateModule(
    builder,
    machine('', { others: 'nix.settings.fsync-store-paths = false;' }),
  );
  assert.equal(own.nixSettings['fsync-store-paths'], false, 'the machine’s own word counts');
});

test('imported by two ways the flake’s module counts once', async () => {
  const modules = `modules =
    let
      outputs = (import ${checkout}flake.nix).outputs {
        self = outputs // { outPath = "/flake"; };
        nixpkgs = { lib = { }; legacyPackages = { }; };
      };
      m = outputs.nixosModules;
    in
    [ m.default { imports = [ m.nixmaker ]; } { imports = [ m.default ]; } ];`;
  const { failed, services } = await evaluateModule(builder, machine(), { args: modules });
  assert.deepEqual(failed, []);
  assert.deepEqual(services.nixmaker?.wantedBy, ['multi-user.target']);
});

test('a machine that forgets at each restart is warned of, unless something keeps the state', async () => {
  const inMemory = 'fileSystems."/".fsType = "tmpfs";';
  const warned = async (others: string) =>
    (await evaluateModule(builder, machine('', { others }))).warnings.join('\n');
  assert.match(await warned(inMemory), /\/var\/lib\/nixmaker is not persistent.*forget/s);
  for (const kept of [
    '',
    `${inMemory} fileSystems."/var/lib".fsType = "ext4";`,
    `${inMemory} environment.persistence."/persist".directories = [ "/var/lib/nixmaker" ];`,
    `${inMemory} environment.persistence."/persist".directories = [ { directory = "/var/lib"; } ];`,
    `${inMemory} preservation.preserveAt."/persist".directories = [ { directory = "/var/lib/nixmaker"; } ];`,
  ])
    assert.equal(await warned(kept), '', kept);
  assert.match(
    await warned(`${inMemory} environment.persistence."/persist".directories = [ "/var/lib/nix" ];`),
    /is not persistent/,
  );
});
