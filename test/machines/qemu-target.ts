/** Disks for QEMU with nixmaker on them as a package would bring it (compiled), and images of sticks. */
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { given } from '../../src/core/given.ts';
import type { Workshop } from '../support/fleet.ts';
import { layModuleOutput, type ModuleOutput, moduleOutput } from '../support/module-output.ts';
import { compiled, compiledAt, compiledMain, compiledNode } from './compiled.ts';
import { run } from './program.ts';

const must = async (program: string, args: readonly string[], env: Record<string, string> = {}) => {
  const ran = await run(program, args, { env });
  if (ran.code !== 0) throw new Error(`${program} ${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
  return ran.stdout;
};

const prepared = () => {
  const path = process.env.NIXMAKER_QEMU;
  if (path === undefined) throw new Error('NIXMAKER_QEMU is not set: run this test with scripts/test-vm');
  return path;
};

/** A program of the fetched Debian, through its own loader: nothing is installed on the host. */
function tool(name: string, args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const root = join(prepared(), 'root');
  const library = join(root, 'usr/lib/x86_64-linux-gnu');
  const program = join(root, name);
  return must(
    join(root, 'usr/lib64/ld-linux-x86-64.so.2'),
    ['--argv0', name, '--library-path', library, program, ...args],
    env,
  );
}

/** Bytes of a stick; small, for a throttled one is read whole by nobody. */
const stickMegabytes = 40;

/** Makes a stick with the folder's files on it. exFAT can't be filled from outside, and stays empty. */
export async function makeStick(
  image: string,
  fileSystem: 'vfat' | 'ext4' | 'exfat',
  files?: string,
): Promise<void> {
  await rm(image, { force: true });
  if (fileSystem === 'ext4') {
    const contents = files === undefined ? [] : ['-d', files];
    await must('mke2fs', ['-q', '-F', '-t', 'ext4', ...contents, image, `${stickMegabytes}M`]);
    return;
  }
  await must('truncate', ['--size', `${stickMegabytes}M`, image]);
  if (fileSystem === 'exfat') {
    await tool('usr/sbin/mkfs.exfat', ['-q', '-L', 'EXFAT', image]);
    return;
  }
  await tool('usr/sbin/mkfs.vfat', ['-F', '32', '-n', 'STICK', image]);
  if (files !== undefined)
    await tool('usr/bin/mtools', ['-c', 'mcopy', '-s', '-i', image, join(files, 'nixmaker'), '::']);
}

/** A card as cameras use it has a power of two (SD, by QEMU’s word). */
export async function makeCard(image: string, files: string): Promise<void> {
  await makeStick(image, 'vfat', files);
  await must('truncate', ['--size', '64M', image]);
}

/** A disc, ISO 9660. */
export async function makeDisc(image: string, files: string): Promise<void> {
  await rm(image, { force: true });
  await tool('usr/bin/xorriso', ['-as', 'mkisofs', '-quiet', '-R', '-o', image, files]);
}

/** A stick with a partition for each of these, as a partition table of four has them. */
export function partitioned(images: readonly Buffer[]): Buffer {
  const mebibyte = 2 ** 20;
  const table = Buffer.alloc(mebibyte);
  const parts = images.map((image) => Buffer.concat([image, Buffer.alloc(-image.length & (mebibyte - 1))]));
  let start = mebibyte;
  for (const [i, part] of parts.entries()) {
    const at = 446 + i * 16;
    table[at + 4] = 0x07;
    table.writeUInt32LE(start / 512, at + 8);
    table.writeUInt32LE(part.length / 512, at + 12);
    start += part.length;
  }
  table.writeUInt16LE(0xaa55, 510);
  return Buffer.concat([table, ...parts]);
}

/** A file on a vfat stick, read at the desk. */
export function readFromVfat(image: string, path: string): Promise<string> {
  return tool('usr/bin/mtools', ['-c', 'mtype', '-i', image, `::${path}`], { MTOOLS_SKIP_CHECK: '1' });
}

interface QemuTarget {
  /** What the NixOS module makes of the machine; nothing of it is started. */
  readonly output: ModuleOutput;
  /** Folders of the host, by where they are to lie on the disk. */
  readonly folders?: Readonly<Record<string, string>>;
}

/** @returns the folder to boot, with a disk in it */
async function makeQemuDisk(folder: string, { output, folders }: QemuTarget): Promise<void> {
  const tree = join(folder, 'tree');
  await mkdir(folder, { recursive: true });
  await must('cp', ['--archive', join(prepared(), 'tree'), tree]);
  await installNixmaker(tree);
  const put = async (path: string, text: string) => {
    await mkdir(join(tree, dirname(path)), { recursive: true });
    await writeFile(join(tree, path), text);
  };
  await layModuleOutput(tree, { ...output, links: {} });
  for (const group of Object.keys(output.evaluated.groups)) await addGroup(tree, group);
  const { nixKeys, nixConf } = output.evaluated;
  await put(
    '/etc/nix/nix.conf',
    `experimental-features = nix-command flakes\nsandbox = false\nsubstituters =\ntrusted-public-keys = ${nixKeys.join(' ')}\nfsync-store-paths = true\n${nixConf}\n`,
  );
  await put('/etc/systemd/journald.conf.d/test.conf', '[Journal]\nStorage=volatile\n');
  for (const [to, from] of Object.entries(folders ?? {})) await cp(from, join(tree, to), { recursive: true });
  await must('mke2fs', ['-q', '-t', 'ext4', '-d', tree, join(folder, 'disk'), '1500M']);
  await rm(tree, { recursive: true, force: true });
}

/** The disk of a machine that takes what is plugged in. @param media the options of `services.nixmaker.media`, in Nix */
export async function makeMediaDisk(
  shop: Workshop,
  folder: string,
  { media, folders }: { readonly media: string; readonly folders?: QemuTarget['folders'] },
): Promise<void> {
  const options = `{ services.nixmaker = {
    enable = true;
    trustedPublicKeys = [ "${shop.keys.publicKey}" ];
    policy.operation = "switch";
    media = ${media};
  }; }`;
  const output = await moduleOutput(shop.builder, join(shop.folder, 'module'), options);
  await makeQemuDisk(folder, given({ output, folders }));
}

/** A folder with a pool of the bundle, as `put` makes it. */
export async function makePool(shop: Workshop, name: string, bundle: string): Promise<string> {
  const desk = join(shop.folder, 'desk', name);
  await mkdir(desk, { recursive: true });
  const put = await shop.builder.nixmaker(['put', desk, bundle]);
  if (put.code !== 0) throw new Error(put.stderr);
  return desk;
}

/** As NixOS would, where the tree does not have it. */
async function addGroup(tree: string, name: string): Promise<void> {
  const file = join(tree, 'etc/group');
  const there = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '');
  if (there.some((line) => line.startsWith(`${name}:`))) return;
  await writeFile(file, `${[...there, `${name}:x:${900 - there.length}:`].join('\n')}\n`);
}

/** Compiled, with what Node.js makes of it kept. */
async function installNixmaker(tree: string): Promise<void> {
  await rm(join(tree, 'opt'), { recursive: true, force: true });
  await cp(compiled, join(tree, compiledAt), { recursive: true });
  await cp(process.execPath, join(tree, compiledNode), { dereference: true });
  const cache = '/var/cache/node';
  // Without compiler threads of its own Node.js starts a third faster under emulation.
  const wrapper = `#!/bin/sh\nexport NODE_COMPILE_CACHE=${cache} NODE_OPTIONS="$NODE_OPTIONS --v8-pool-size=0"\nexec ${compiledNode} ${compiledMain} "$@"\n`;
  await writeFile(join(tree, 'usr/bin/nixmaker'), wrapper, { mode: 0o755 });
  await must('chroot', [tree, 'env', '-i', '/usr/bin/nixmaker', 'history']);
  await must('chmod', ['--recursive', 'a+rX', join(tree, cache)]);
}
