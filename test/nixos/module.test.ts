/** services.nixmaker, evaluated without nixpkgs (or with its lib, where NIXPKGS says where it is). */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { policyParser } from '../../src/core/policy/policy.ts';
import { readPolicy, readSettings } from '../../src/state/config.ts';
import { makeBuilder } from '../machines/builder.ts';
import { checkout } from '../machines/program.ts';
import { temporaryFolder } from '../support/bundles.ts';
import { makeWorkplace } from '../support/fleet.ts';
import { evaluateModule, moduleOutput, optionsDocument, runAsBuild } from '../support/module-output.ts';

const key = 'fleet-1:G4On3LlFSVMH4IUKGpTV8XAzBBDZuiyID7K1VJmWgAc=';
/** A person’s: the line of a `.pub` file (RFC 8709 §4), of bytes of no meaning. */
const ssh = `anna:ssh-ed25519 ${Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from('ssh-ed25519'), Buffer.from([0, 0, 0, 32]), Buffer.alloc(32, 7)]).toString('base64')} anna`;
const builder = await makeBuilder(join(await makeWorkplace(), 'builder'));
const uid = process.getuid?.() ?? 0;

/** A machine that trusts these keys, with further options below services.nixmaker and beside it. */
const machine = (options = '', { keys = `"${key}"`, others = '' } = {}) =>
  `{ lib, ... }: { services.nixmaker = { enable = true; trustedPublicKeys = [ ${keys} ]; ${options} }; ${others} }`;

async function builtPolicy(t: TestContext, options: string) {
  const { policy } = await evaluateModule(builder, machine(options));
  return runAsBuild(builder, await temporaryFolder(t), policy);
}

test('the policy that is built is one the agent takes, and its defaults are those of the policy file', async (t) => {
  const built = await builtPolicy(t, 'health = { };');
  assert.equal(built.code, 0, built.stderr);
  const policy = await readPolicy(built.out, uid);
  const plain = { schema: 1, host: 'web', operation: 'boot', trustedKeys: [key], health: {} };
  assert.deepEqual(policy, policyParser.parse(plain));
});

test('typed options and free ones reach the files; what is not set is not there', async (t) => {
  const options = `
    policy = {
      operation = "switch"; threshold = 2; roles.approve = 1; limits.paths = 5000;
      window = { from = "22:00"; to = "05:00"; };
    };
    health = { units = [ "nginx.service" ]; tcp = [ { port = 443; } ]; };
    reboot.when = "when-needed";
    receipts.notify = [ "/run/beep" "-l" ];
    media = { enable = true; labels = [ "FLEET" ]; roots = [ "/mnt" ]; };
    settings = { switchDeadline = 60; identityFile = "/run/secrets/age"; };`;
  const keys = `"${key}" { key = "${ssh}"; roles = [ "approve" ]; notAfter = "2030-01-01T00:00:00Z"; }`;
  const others = 'time.timeZone = "Europe/Oslo";';
  const folder = await temporaryFolder(t);
  const { files, evaluated } = await moduleOutput(builder, folder, machine(options, { keys, others }));
  const policy = policyParser.parse(JSON.parse(files['/etc/nixmaker/policy.json'] ?? ''));
  assert.deepEqual(
    policy,
    policyParser.parse({
      schema: 1,
      host: 'web',
      operation: 'switch',
      trustedKeys: [key, { key: ssh, roles: ['approve'], notAfter: '2030-01-01T00:00:00Z' }],
      threshold: 2,
      roles: { approve: 1 },
      limits: { paths: 5000 },
      window: { from: '22:00', to: '05:00', timeZone: 'Europe/Oslo' },
      health: { units: ['nginx.service'], tcp: [{ port: 443 }] },
      reboot: { when: 'when-needed' },
      receipts: { notify: ['/run/beep', '-l'] },
      media: { mount: true, labels: ['FLEET'] },
    }),
  );
  const settings = join(folder, 'settings.json');
  writeFileSync(settings, files['/etc/nixmaker/settings.json'] ?? '');
  const read = await readSettings(settings, { required: true });
  assert.deepEqual(
    [read.switchDeadline, read.identityFile, read.media.roots],
    [60, '/run/secrets/age', ['/mnt']],
  );
  assert.deepEqual(evaluated.nixKeys, [key], 'an SSH key is none of Nix’s');
});

/** Options that do not fit, and what Nix must name. */
const misfits: readonly (readonly [options: string, names: RegExp])[] = [
  ['policy.operation = "swich";', /services\.nixmaker\.policy\.operation.*one of/],
  ['policy.threshold = 0;', /services\.nixmaker\.policy\.threshold/],
  ['policy.window = { from = "22:00"; };', /services\.nixmaker\.policy\.window\.to/],
  ['policy.window = { from = "25:00"; to = "05:00"; };', /services\.nixmaker\.policy\.window\.from/],
  ['health.settle = "5";', /services\.nixmaker\.health\.settle/],
  ['health.tcp = [ { port = 70000; } ];', /services\.nixmaker\.health\.tcp.*port/],
  ['health.commands = [ [ ] ];', /services\.nixmaker\.health\.commands/],
  ['media.fileSystems = [ "ntfs" ];', /services\.nixmaker\.media\.fileSystems/],
  ['media.fileSystem = [ "vfat" ];', /services\.nixmaker\.media\.fileSystem/],
  ['polcy.operation = "switch";', /services\.nixmaker\.polcy/],
  ['inbox.users = "alice";', /services\.nixmaker\.inbox\.users/],
  ['reboot.when = true;', /services\.nixmaker\.reboot\.when/],
  ['policy.operation = lib.mkMerge [ "switch" "boot" ];', /services\.nixmaker\.policy\.operation/],
];

for (const [options, names] of misfits)
  test(`what does not fit is named: ${options}`, async () => {
    await assert.rejects(evaluateModule(builder, machine(options)), names);
  });

test('what only nixmaker knows to be wrong fails the build, with line, key and nearest valid key', async (t) => {
  for (const [options, says] of [
    ['policy.treshold = 2;', /treshold.*did you mean “threshold”/s],
    ['policy.roles.approve = 1;', /roles/],
    ['settings.inboxes = "/srv";', /inboxes/],
    ['policy.trustedKeys = [ "weak-1:AAAA" ];', /weak-1/],
  ] as const) {
    const built = await builtPolicy(t, options);
    assert.equal(built.code, 1, options);
    assert.match(built.stderr, says);
    assert.match(built.stderr, /services\.nixmaker: the policy or the settings can't be used/);
  }
});

test('what can’t work together is said with the option and the way out', async () => {
  for (const [options, says, more] of [
    ['', /services\.nixmaker\.trustedPublicKeys is empty.*keygen/, { keys: '' }],
    ['policy.threshold = 2;', /services\.nixmaker\.policy\.threshold is 2.*has 1/, {}],
    ['', /services\.nixmaker\.policy\.host is empty/, { others: 'networking.hostName = "";' }],
    [
      'media = { enable = true; openUdisks = true; };',
      /media\.enable and services\.nixmaker\.media\.openUdisks are both set/,
      { others: 'services.udisks2.enable = true;' },
    ],
    ['media.openUdisks = true;', /services\.udisks2\.enable is not/, {}],
    ['media.roots = [ "/run/media/nixmaker" ];', /Set services\.nixmaker\.media\.enable instead/, {}],
    ['inbox.authorizedKeys = [ "ssh-ed25519 AAAA" ];', /set services\.openssh\.enable/, {}],
    ['inbox.group = "users";', /services\.nixmaker\.inbox\.group is “users”/, {}],
  ] as const) {
    const { failed } = await evaluateModule(builder, machine(options, more));
    assert.match(failed.join('\n'), says);
  }
  assert.deepEqual((await evaluateModule(builder, machine())).failed, []);
});

test('disabled it sets nothing at all', async () => {
  const off = await evaluateModule(builder, '{ }').catch((error: Error) => error.message);
  assert.match(String(off), /policy\.json/, 'there is no policy to look at');
});

test('the units are those of systemd/, with the package’s own program in them', async (t) => {
  const { units, services, paths } = await evaluateModule(builder, machine());
  const { code, stderr, out } = await runAsBuild(builder, await temporaryFolder(t), units);
  assert.equal(code, 0, stderr);
  const names = readdirSync(join(checkout, 'systemd'))
    .filter((name) => name.startsWith('nixmaker'))
    .sort();
  assert.deepEqual(readdirSync(join(out, 'etc/systemd/system')).sort(), names);
  for (const name of names) {
    const installed = readFileSync(join(out, 'etc/systemd/system', name), 'utf8');
    assert.equal(
      installed
        .replaceAll('/nixmaker/bin/nixmaker', '/usr/bin/nixmaker')
        .replaceAll('/nixmaker/share/doc', '/usr/share/doc')
        .replaceAll('/util-linux/bin/umount', '/usr/bin/umount')
        .replaceAll('/util-linux/bin/flock', '/usr/bin/flock')
        .replaceAll('/util-linux/bin/blockdev', '/usr/sbin/blockdev')
        .replaceAll('/coreutils/bin/rmdir', '/usr/bin/rmdir'),
      readFileSync(join(checkout, 'systemd', name), 'utf8'),
    );
    assert.doesNotMatch(installed, /\/usr\//);
    // Every unit is one the module speaks of, and the other way round.
    const [stem = '', kind] = name.split('.');
    assert.ok(kind === 'service' ? stem in services : stem in paths, name);
  }
});

test('no switch restarts the services, they find their programs, and their user exists', async () => {
  const { services, users, paths } = await evaluateModule(builder, machine());
  for (const [name, service] of Object.entries(services)) {
    assert.equal(service.restartIfChanged, false, name);
    for (const needed of ['/nix', '/util-linux', '/coreutils', '/systemd'])
      assert.ok(service.path.includes(needed), needed);
  }
  assert.deepEqual(users.nixmaker?.isSystemUser, true);
  assert.deepEqual(
    [
      services.nixmaker?.wantedBy,
      services['nixmaker-activate']?.wantedBy,
      services['nixmaker-confirm']?.requiredBy,
      services['nixmaker-reboot']?.wantedBy,
      services['nixmaker-store-key']?.wantedBy,
      paths['nixmaker-activate']?.wantedBy,
    ],
    [
      ['multi-user.target'],
      ['multi-user.target'],
      ['boot-complete.target'],
      [],
      ['nix-daemon.service'],
      ['multi-user.target'],
    ],
  );
});

test('the store key and boot counting can be left out, and are where NixOS knows nothing of them', async () => {
  const with_ = await evaluateModule(builder, machine());
  assert.match(with_.nixConf, /^!include \/var\/lib\/nixmaker\/activation\/store-key\.conf$/m);
  assert.equal(with_.bootCounting, true);
  const without = await evaluateModule(builder, machine('storeKey = false; bootCounting = false;'));
  assert.equal(without.nixConf, '');
  assert.deepEqual(without.services['nixmaker-store-key']?.wantedBy, []);
  assert.equal(without.bootCounting, false);
  const older = await evaluateModule(builder, machine(), { args: 'hasBootCounting = false;' });
  assert.equal(older.bootCounting, null);
});

test('who may drop bundles: a group, and those who can copy and nothing else', async () => {
  const options = 'inbox = { users = [ "alice" ]; authorizedKeys = [ "ssh-ed25519 AAAA courier" ]; };';
  const others = 'services.openssh.enable = true;';
  const { groups, users, tmpfiles, sshd } = await evaluateModule(builder, machine(options, { others }));
  assert.deepEqual(groups['nixmaker-drop']?.members, ['alice']);
  assert.ok(tmpfiles.includes('d /var/lib/nixmaker/inbox 3770 nixmaker nixmaker-drop - -'));
  assert.deepEqual(users['nixmaker-drop']?.openssh?.authorizedKeys.keys, [
    'restrict ssh-ed25519 AAAA courier',
  ]);
  assert.match(sshd, /^Match User nixmaker-drop\n +ForceCommand internal-sftp/m);
  assert.match(sshd, /^ *Match All$/m, 'what follows is for everybody again');
  const plain = await evaluateModule(builder, machine());
  assert.equal(plain.sshd, '');
  assert.equal(plain.users['nixmaker-drop'], undefined);
});

test('media of a desktop are shared by udisks, and looked at', async (t) => {
  const others = 'services.udisks2.enable = true;';
  const { files } = await moduleOutput(
    builder,
    await temporaryFolder(t),
    machine('media.openUdisks = true;', { others }),
  );
  assert.match(files['/etc/udev/rules.d/61-nixmaker-udisks.rules'] ?? '', /UDISKS_FILESYSTEM_SHARED/);
  assert.match(files['/etc/nixmaker/settings.json'] ?? '', /"roots":\["\/media"\]/);
});

test('docs/options.md says what the options are', async () => {
  const { documentation } = await evaluateModule(builder, machine());
  assert.ok(documentation.length > 40);
  for (const { name, description } of documentation) assert.match(description ?? '', /\S/, name);
  assert.equal(
    readFileSync(join(checkout, 'docs/options.md'), 'utf8'),
    optionsDocument(documentation),
    'run `npm run docs`',
  );
});
