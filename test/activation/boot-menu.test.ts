/** Boot menus as NixOS’s builders write them, and what is wrong with one. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { readBootMenus } from '../../src/activation/boot-menu.ts';
import { type BootMenu, describeFault, judgeMenu } from '../../src/core/run/boot-menu.ts';
import { temporaryFolder } from '../support/bundles.ts';
import { storePathOf } from '../support/releases.ts';

const [old, next, other] = [1, 2, 3].map((n) => storePathOf(n, 'nixos-system-web')) as [
  ReturnType<typeof storePathOf>,
  ReturnType<typeof storePathOf>,
  ReturnType<typeof storePathOf>,
];
const entry = (system: string) =>
  `title NixOS\nlinux /EFI/nixos/k.efi\noptions init=${system}/init loglevel=4\nsort-key nixos`;

/** An EFI image whose second section is the kernel’s command line. */
function image(commandLine: string): Buffer {
  const bytes = Buffer.alloc(0x400);
  bytes.write('MZ');
  bytes.writeUInt32LE(0x80, 0x3c);
  bytes.write('PE\0\0', 0x80, 'latin1');
  bytes.writeUInt16LE(2, 0x86);
  bytes.writeUInt16LE(0, 0x94);
  for (const [i, name] of ['.osrel', '.cmdline'].entries()) {
    const at = 0x98 + i * 40;
    bytes.write(name, at);
    bytes.writeUInt32LE(i === 1 ? commandLine.length : 0, at + 8);
    bytes.writeUInt32LE(0x200, at + 20);
  }
  bytes.write(commandLine, 0x200);
  return bytes;
}

const menus: readonly (readonly [
  string,
  Readonly<Record<string, string | Buffer>>,
  readonly string[],
  string | undefined,
])[] = [
  [
    'systemd-boot, names of before 2026',
    {
      'loader/loader.conf': 'timeout 5\ndefault nixos-generation-2.conf\nconsole-mode keep\n',
      'loader/entries/nixos-generation-1.conf': entry(old),
      'loader/entries/nixos-generation-2.conf': entry(next),
    },
    [old, next],
    next,
  ],
  [
    'systemd-boot of 2026, which counts tries',
    {
      'loader/loader.conf': 'preferred nixos-bb.conf\ndefault nixos-*\n',
      'loader/entries/nixos-aa.conf': entry(old),
      'loader/entries/nixos-bb+3.conf': entry(next),
      'loader/entries/memtest.conf': 'title memtest\nefi /EFI/memtest.efi\n',
    },
    [old, next],
    next,
  ],
  [
    'a pattern that fits several',
    {
      'loader/loader.conf': 'default nixos-*\n',
      'loader/entries/nixos-aa.conf': entry(old),
      'loader/entries/nixos-bb+2-1.conf': entry(next),
    },
    [old, next],
    undefined,
  ],
  [
    'lanzaboote’s images',
    {
      'loader/loader.conf': 'default nixos-generation-2-x.efi\n',
      'EFI/Linux/nixos-generation-1-y.efi': image(`init=${old}/init loglevel=4`),
      'EFI/Linux/nixos-generation-2-x+3.efi': image(`init=${next}/init`),
      'EFI/Linux/short.efi': Buffer.from('MZ'),
    },
    [old, next],
    next,
  ],
  [
    'GRUB',
    {
      'grub/grub.cfg': `if [ "\${next_entry}" ]; then\n  set default="\${next_entry}"\nelse\n  set default=0\nfi\nmenuentry "NixOS - Default" --class nixos --unrestricted {\nsearch --set=drive1 --fs-uuid x\n  linux ($drive1)//kernels/k-bzImage init=${next}/init loglevel=4\n  initrd ($drive1)//kernels/i-initrd\n}\nsubmenu "NixOS - All configurations" --class submenu {\nmenuentry "NixOS - Configuration 1" --class nixos {\n  linux ($drive1)//kernels/k-bzImage init=${old}/init loglevel=4\n}\n}\n`,
    },
    [old, next],
    next,
  ],
  [
    'extlinux',
    {
      'extlinux/extlinux.conf': `DEFAULT nixos-default\nTIMEOUT 30\n\nLABEL nixos-default\n  MENU LABEL NixOS - Default\n  LINUX ../nixos/k-Image\n  APPEND init=${next}/init loglevel=4\n\nLABEL nixos-1-default\n  LINUX ../nixos/k-Image\n  APPEND init=${old}/init loglevel=4\n`,
    },
    [old, next],
    next,
  ],
  [
    'Limine, which counts its default itself',
    {
      'limine/limine.conf': `timeout: 5\ndefault_entry: 2\n\n# NixOS boot entries start here\n/+NixOS default profile\n//Generation 2\nprotocol: linux\ncomment: NixOS, built on 2026-11-28 01:02:03\nkernel_path: boot():/limine/kernels/k-bzImage#00\ncmdline: init=${next}/init loglevel=4\nmodule_path: boot():/limine/kernels/i-initrd\n//Generation 1\nprotocol: linux\nkernel_path: boot():/limine/kernels/k-bzImage\ncmdline: init=${old}/init loglevel=4\n\n# NixOS boot entries end here\n\n/memtest\nprotocol: efi\n`,
    },
    [old, next],
    undefined,
  ],
];

for (const [what, files, systems, chosen] of menus)
  test(`the menu of ${what} is read`, async (t) => {
    const folder = await temporaryFolder(t);
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    const [menu, ...more] = await readBootMenus(folder);
    assert.deepEqual(more, []);
    assert.deepEqual(menu?.entries.map((e) => e.system).sort(), systems);
    assert.equal(menu?.chosen?.system, chosen);
  });

test('where there is no menu there is nothing to judge', async (t) => {
  assert.deepEqual(await readBootMenus(await temporaryFolder(t)), []);
});

const menu = (systems: readonly (typeof old)[], chosen?: typeof old): BootMenu => {
  const entries = systems.map((system) => ({ name: system, system }));
  return { loader: 'grub', entries, chosen: entries.find((e) => e.system === chosen) };
};
const before = [menu([old], old)];
const question = { next, previous: old, offered: [old] };

for (const [what, after, kind] of [
  ['both are there', menu([old, next], next), undefined],
  ['the default is nobody’s', menu([old, next]), undefined],
  ['the new one is missing', menu([old], old), 'new-is-missing'],
  ['the old one is missing', menu([next], next), 'old-is-missing'],
  ['another is the default', menu([old, next, other], other), 'other-default'],
] as const)
  test(`a menu in which ${what}: ${kind ?? 'well'}`, () => {
    const fault = judgeMenu({ before, after: [after] }, question);
    assert.equal(fault?.kind, kind);
    if (fault !== undefined) assert.match(describeFault(fault), /boot menu/);
  });

test('a menu that did not offer the old system is of a loader that is not used', () => {
  assert.equal(judgeMenu({ before: [menu([other])], after: [menu([other])] }, question), undefined);
});
