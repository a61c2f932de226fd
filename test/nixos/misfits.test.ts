/** What services.nixmaker refuses, evaluated as in module.test.ts: on both libs the option is named, and the way out. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeBuilder } from '../machines/builder.ts';
import { makeWorkplace } from '../support/fleet.ts';
import { moduleKey as key, moduleMachine as machine } from '../support/module-machine.ts';
import { evaluateModule } from '../support/module-output.ts';

const builder = await makeBuilder(join(await makeWorkplace(), 'builder'));

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

test('what can’t work together is said with the option and the way out', async () => {
  for (const [options, says, more] of [
    ['', /services\.nixmaker\.trustedPublicKeys is empty.*keygen/, { keys: '' }],
    ['policy.threshold = 2;', /services\.nixmaker\.policy\.threshold is 2.*has only 1/, {}],
    ['', /services\.nixmaker\.policy\.host is empty/, { others: 'networking.hostName = "";' }],
    [
      'media = { enable = true; openUdisks = true; };',
      /media\.enable and services\.nixmaker\.media\.openUdisks are both set/,
      { others: 'services.udisks2.enable = true;' },
    ],
    ['media.openUdisks = true;', /services\.udisks2\.enable is not/, {}],
    ['media.roots = [ "/run/media/nixmaker" ];', /Set services\.nixmaker\.media\.enable instead/, {}],
    ['disks = [ "/dev/vda" ];', /diskScript and services\.nixmaker\.disks belong together/, {}],
    ['inbox.authorizedKeys = [ "ssh-ed25519 AAAA" ];', /set services\.openssh\.enable/, {}],
  ] as const) {
    const { failed } = await evaluateModule(builder, machine(options, more));
    assert.match(failed.join('\n'), says);
  }
  assert.deepEqual((await evaluateModule(builder, machine())).failed, []);
});

/** Each by itself: what is set, what is said, and nothing else. */
const contradictions: readonly (readonly [options: string, others: string, says: RegExp])[] = [
  ['', 'nix.enable = false;', /nix\.enable is not.*Set nix\.enable/],
  ['', 'nix.settings.allowed-users = [ "root" "@wheel" ];', /nix\.settings\.allowed-users.*Add "nixmaker"/],
  ['inbox.group = "root";', '', /inbox\.group is “root”/],
  ['inbox.group = "wheel";', '', /inbox\.group is “wheel”/],
  ['inbox.group = "nixmaker";', '', /inbox\.group is “nixmaker”/],
  ['inbox.group = "nogroup";', '', /inbox\.group is “nogroup”/],
  ['inbox.group = "users";', '', /inbox\.group is “users”/],
  [`inbox.group = "${'g'.repeat(32)}";`, '', /inbox\.group is “g{32}”, longer than the 31/],
  ['inbox.users = [ "alcie" ];', 'users.users.alice = { };', /inbox\.users names “alcie”.*users\.users/],
  ['media.roots = [ "/mnt/" ];', '', /names “\/mnt\/”/],
  ['media.roots = [ "/mnt/../srv" ];', '', /names “\/mnt\/\.\.\/srv”/],
  ['media.folders = [ "/srv/sync/.." ];', '', /names “\/srv\/sync\/\.\.”/],
  ['media.folders = [ "srv" ];', '', /names “srv”/],
  ['media.roots = [ "/" ];', '', /media\.roots names \/, above \/run\/media\/nixmaker/],
  ['media.roots = [ "/run" ];', '', /media\.roots names \/run, above/],
  ['media.roots = [ "/run/media" ];', '', /media\.roots names \/run\/media, above/],
  ['media.roots = [ "/run/media/nixmaker/sda" ];', '', /Set services\.nixmaker\.media\.enable instead/],
  [
    'inbox.authorizedKeys = [ "ssh-ed25519 AAAA\\nssh-ed25519 AAAB" ];',
    'services.openssh.enable = true;',
    /an entry with more than one line/,
  ],
  [
    'inbox.authorizedKeys = [ "ssh-ed25519 AAAA" ];',
    'services.openssh = { enable = true; allowSFTP = false; };',
    /services\.openssh\.allowSFTP is not set/,
  ],
  [
    'inbox.authorizedKeys = [ "ssh-ed25519 AAAA" ];',
    'services.openssh = { enable = true; settings.AllowUsers = [ "admin" ]; };',
    /AllowUsers excludes nixmaker-drop/,
  ],
  [
    'inbox.authorizedKeys = [ "ssh-ed25519 AAAA" ];',
    'services.openssh = { enable = true; settings.AllowGroups = [ "wheel" ]; };',
    /AllowGroups excludes nixmaker-drop/,
  ],
  ['bootCounting = true;', '', /bootCounting is set, but the machine does not use systemd-boot/],
  [
    'bootCounting = true;',
    'boot.loader.systemd-boot.enable = true; virtualisation.xen.enable = true;',
    /virtualisation\.xen\.enable/,
  ],
  [
    '',
    'boot.loader.systemd-boot = { enable = true; configurationLimit = 1; };',
    /boot\.loader\.systemd-boot keeps 1 of.*2 or more/,
  ],
  ['', 'boot.loader.grub.configurationLimit = 1;', /boot\.loader\.grub keeps 1 of/],
  ['', 'boot.loader.grub.configurationLimit = 0;', /boot\.loader\.grub keeps 0 of/],
  [
    '',
    'boot.loader.generic-extlinux-compatible = { enable = true; configurationLimit = 1; };',
    /boot\.loader\.generic-extlinux-compatible keeps 1 of/,
  ],
  ['', 'boot.loader.limine = { enable = true; maxGenerations = 1; };', /boot\.loader\.limine keeps 1 of/],
  ['', 'boot.lanzaboote = { enable = true; configurationLimit = 1; };', /boot\.lanzaboote keeps 1 of/],
];

for (const [options, others, says] of contradictions)
  test(`what would never work is refused: ${options} ${others}`, async () => {
    const { failed } = await evaluateModule(builder, machine(options, { others }));
    assert.equal(failed.length, 1, failed.join('\n'));
    assert.match(failed[0] ?? '', says);
  });

test('what looks like those and is none of them is taken', async () => {
  for (const [options, others] of [
    ['', 'nix.settings.allowed-users = [ "root" "nixmaker" ];'],
    ['', 'nix.settings.allowed-users = [ "@nixmaker" ];'],
    [`inbox.group = "${'g'.repeat(31)}";`, ''],
    ['inbox.users = [ "alice" ];', 'users.users.alice = { };'],
    ['media = { roots = [ "/mnt" "/run/media-two" "/srv/..x" ]; folders = [ "/srv/sync" ]; };', ''],
    ['', 'boot.loader.systemd-boot = { enable = true; configurationLimit = 2; };'],
    ['', 'boot.loader.systemd-boot = { enable = true; configurationLimit = 0; };'],
    ['', 'boot.loader.grub = { enable = false; configurationLimit = 1; };'],
  ] as const)
    assert.deepEqual(
      (await evaluateModule(builder, machine(options, { others }))).failed,
      [],
      options + others,
    );
});

test('one key under two names is one key', async () => {
  const [, material = ''] = key.split(':');
  const keys = `"${key}" { key = "other-1: ${material} "; }`;
  const { failed } = await evaluateModule(builder, machine('policy.threshold = 2;', { keys }));
  assert.match(failed.join('\n'), /threshold is 2.*has only 1 different/);
});

test('with counting asked for of a NixOS that can’t, the release that can is named', async () => {
  const others = 'boot.loader.systemd-boot.enable = true;';
  const args = 'hasBootCounting = false;';
  const { failed } = await evaluateModule(builder, machine('bootCounting = true;', { others }), { args });
  assert.match(failed.join('\n'), /26\.11/);
});
