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
import {
  moduleKey as key,
  moduleMachine as machine,
  moduleSshKey as ssh,
} from '../support/module-machine.ts';
import { evaluateModule, moduleOutput, optionsDocument, runAsBuild } from '../support/module-output.ts';

const builder = await makeBuilder(join(await makeWorkplace(), 'builder'));
const uid = process.getuid?.() ?? 0;

async function builtPolicy(t: TestContext, options: string) {
  const { policy } = await evaluateModule(builder, machine(options));
  return runAsBuild(builder, await temporaryFolder(t), policy);
}

test('the policy that is built is one the agent takes, and its defaults are those of the policy file, but for how a first start is told', async (t) => {
  const built = await builtPolicy(t, 'health = { };');
  assert.equal(built.code, 0, built.stderr);
  const policy = await readPolicy(built.out, uid);
  const plain = { schema: 1, host: 'web', operation: 'boot', trustedKeys: [key], health: {} };
  const module = { firstStart: 'no-record' };
  assert.deepEqual(policy, policyParser.parse({ ...plain, ...module }));
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
    hooks.before = { command = [ "/run/snapshot" "data" ]; timeout = 60; };
    hooks.after.command = [ "/run/drop" ];
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
      firstStart: 'no-record',
      trustedKeys: [key, { key: ssh, roles: ['approve'], notAfter: '2030-01-01T00:00:00Z' }],
      threshold: 2,
      roles: { approve: 1 },
      limits: { paths: 5000 },
      window: { from: '22:00', to: '05:00', timeZone: 'Europe/Oslo' },
      health: { units: ['nginx.service'], tcp: [{ port: 443 }] },
      reboot: { when: 'when-needed' },
      receipts: { notify: ['/run/beep', '-l'] },
      hooks: {
        before: { command: ['/run/snapshot', 'data'], timeout: 60 },
        after: { command: ['/run/drop'] },
      },
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

test('a desktop gets a user’s unit, polkit’s rule and, if it is to be asked, an approval', async (t) => {
  const plain = await evaluateModule(builder, machine(''));
  assert.deepEqual([plain.userServices, plain.polkit], [{}, '']);
  const { userServices, polkit, units } = await evaluateModule(builder, machine('desktop.enable = true;'));
  assert.deepEqual(userServices['nixmaker-desktop']?.wantedBy, ['graphical-session.target']);
  assert.match(polkit, /AUTH_SELF/);
  assert.match(units, /etc\/systemd\/user/);
  const kiosk = 'desktop = { enable = true; withoutPassword = true; askForApproval = true; };';
  const { polkit: open } = await evaluateModule(builder, machine(kiosk));
  assert.match(open, /subject\.local && subject\.active \? polkit\.Result\.YES/);
  const built = await builtPolicy(t, kiosk);
  const policy = await readPolicy(built.out, uid);
  assert.match(policy.approval?.command.join(' ') ?? '', /\/bin\/nixmaker ask$/);
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
    assert.match(built.stderr, /services\.nixmaker: the policy or the settings are invalid/);
  }
});

test('disabled it sets nothing at all', async () => {
  const off = await evaluateModule(builder, '{ }').catch((error: Error) => error.message);
  assert.match(String(off), /policy\.json/, 'there is no policy to look at');
});

test('the units are those of systemd/, with the package’s own program in them', async (t) => {
  const { units, services, paths, timers } = await evaluateModule(builder, machine());
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
    assert.ok(stem in (kind === 'service' ? services : kind === 'timer' ? timers : paths), name);
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

test('media of a desktop are mounted by udisks where the agent can look', async (t) => {
  const others = 'services.udisks2.enable = true;';
  const { files, evaluated } = await moduleOutput(
    builder,
    await temporaryFolder(t),
    machine('media.openUdisks = true;', { others }),
  );
  assert.equal(evaluated.mountOnMedia, true, 'NixOS’s own option, and no rule of ours');
  assert.deepEqual(
    Object.keys(files).filter((path) => path.includes('/udev/')),
    ['/etc/udev/rules.d/90-nixmaker-media.rules'],
  );
  assert.match(files['/etc/nixmaker/settings.json'] ?? '', /"roots":\["\/media"\]/);
  assert.equal((await evaluateModule(builder, machine('', { others }))).mountOnMedia, false);
});

test('beside a disk script travels the list of the disks that it takes', async () => {
  const options = 'diskScript = "/run/disko"; disks = [ "/dev/vda" ];';
  const { diskScript, disks, failed } = await evaluateModule(builder, machine(options));
  assert.deepEqual(failed, []);
  assert.equal(diskScript, '/run/disko');
  const list = await builder.run(['cat', disks]);
  assert.deepEqual(JSON.parse(list.stdout), { schema: 1, disks: ['/dev/vda'] });
  assert.equal((await evaluateModule(builder, machine())).diskScript, '');
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

test('servers have a timer and a user of their own, and reach the policy; without any there is neither', async (t) => {
  const url = 'https://updates.example/fleet';
  const options = `fetch.servers = [ { url = "${url}"; bytesPerSecond = 20000; } ];`;
  const others = 'networking.proxy.envVars.https_proxy = "http://proxy:3128";';
  const folder = await temporaryFolder(t);
  const { files, evaluated } = await moduleOutput(builder, folder, machine(options, { others }));
  const policy = policyParser.parse(JSON.parse(files['/etc/nixmaker/policy.json'] ?? ''));
  assert.deepEqual(policy.sources.servers, [{ url, bytesPerSecond: 20000 }]);
  assert.deepEqual(evaluated.timers['nixmaker-fetch']?.wantedBy, ['timers.target']);
  assert.equal(evaluated.users['nixmaker-fetch']?.isSystemUser, true);
  assert.equal(evaluated.services['nixmaker-fetch']?.environment?.https_proxy, 'http://proxy:3128');
  const without = await evaluateModule(builder, machine());
  assert.deepEqual(without.timers['nixmaker-fetch']?.wantedBy, []);
  assert.equal('nixmaker-fetch' in without.users, false);
  const wrong = await evaluateModule(builder, machine('fetch.servers = [ { url = "ftp://x"; } ];'));
  assert.match(wrong.failed.join(), /“ftp:\/\/x”, which is not an http or https URL/);
});

test('a gateway has a user of its own, and is found and let in where that is wanted', async () => {
  const options =
    'serve = { enable = true; folder = "/srv/stick"; openFirewall = true; mdns = true; receipts = false; };';
  const evaluated = await evaluateModule(builder, machine(options));
  const serve = evaluated.services['nixmaker-serve'];
  assert.deepEqual(serve?.wantedBy, ['multi-user.target']);
  assert.equal(serve?.environment?.NIXMAKER_SERVE, '/srv/stick');
  assert.equal(serve?.environment?.NIXMAKER_SERVE_OPTIONS, '--port 8471 --listen :: --no-receipts');
  assert.deepEqual(evaluated.ports, [8471]);
  assert.match(evaluated.extraServiceFiles.nixmaker ?? '', /<type>_nixmaker\._tcp<\/type><port>8471<\/port>/);
  assert.equal(evaluated.users['nixmaker-serve']?.isSystemUser, true);
  const without = await evaluateModule(builder, machine());
  assert.deepEqual([without.ports, without.services['nixmaker-serve']?.wantedBy], [[], []]);
  const wrong = await evaluateModule(builder, machine('serve.folder = "/srv/my stick";'));
  assert.match(wrong.failed.join(), /Use an absolute path of letters/);
});

test('an installer has the console to itself, and says whose signatures count', async () => {
  const image = (options: string) => `{ services.nixmaker.installer = { enable = true; ${options} }; }`;
  const evaluate = (options: string) =>
    evaluateModule(builder, `{ imports = [ (${image(options)}) (${machine()}) ]; }`);
  const options = 'format = true; labels = [ "FLEET" ]; powerOff = true; terminal = "ttyS0";';
  const { services, failed } = await evaluate(`trustedPublicKeys = [ "${key}" ]; ${options}`);
  assert.deepEqual(failed, []);
  const unit = services['nixmaker-installer'];
  const command = String(unit?.serviceConfig.ExecStart);
  assert.match(
    command,
    /\/bin\/nixmaker installer --root \/mnt --key \S+fleet\.public --threshold 1 --label FLEET --format$/,
  );
  const file = /--key (\S+)/.exec(command)?.[1] ?? '';
  assert.equal((await builder.run(['cat', file])).stdout, `${key}\n`);
  assert.deepEqual(
    [unit?.serviceConfig.TTYPath, unit?.unitConfig.SuccessAction, services['serial-getty@ttyS0']?.enable],
    ['/dev/ttyS0', 'poweroff', false],
  );
  assert.match((await evaluate('')).failed.join(), /Set either trustedPublicKeys or keyring/);
  const both = `trustedPublicKeys = [ "${key}" ]; keyring = "/k";`;
  assert.match((await evaluate(both)).failed.join(), /Set either/);
  const many = `trustedPublicKeys = [ "${key}" ]; threshold = 2; folders = [ "/my iso" ];`;
  assert.match((await evaluate(many)).failed.join(), /threshold is 2.*“\/my iso”/s);
  const ring = await evaluate('keyring = "/k";');
  assert.match(String(ring.services['nixmaker-installer']?.serviceConfig.ExecStart), /--keyring \/k$/);
  assert.equal('nixmaker-installer' in (await evaluateModule(builder, machine())).services, false);
});
