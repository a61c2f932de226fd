/** Hostile ext4: made by mke2fs and debugfs, which ask for no mount. Every superblock wants a panic. */
import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../machines/program.ts';
import type { HostileStick, Named } from './stick.ts';

interface Recipe {
  readonly name: string;
  readonly named: Named;
  readonly isRare?: true;
  /** Files, by path; a folder where the path ends with a slash. */
  readonly files?: Readonly<Record<string, string>>;
  /** For debugfs(8), after the superblock has been told to panic. */
  readonly script: readonly string[];
  readonly features?: string;
  /** Of the image: what is replaced by what, wherever it is. */
  readonly bytes?: readonly [string, string];
  readonly superblock?: readonly string[];
}

const panic = ['ssv errors 3'];
/** Kept apart by the kernel: tune2fs(8), `-E mount_opts`. It holds 64 bytes. */
const panicByOption = ['ssv mount_opts errors=panic'];
const pool = { 'nixmaker/hosts/web/': '', 'nixmaker/receipts/': '' };
/** ext4(5): the record length of an entry, four bytes behind its inode; 3 is shorter than any entry. `..` is the second. */
const spoilFolder = (path: string) => `zap_block -f ${path} -o 16 -l 2 -p 3 0`;

/** A folder with a bad entry is merely short: readdir(3) gives what comes before, and the kernel’s log the rest. */
const recipes: readonly Recipe[] = [
  {
    name: 'a bad entry in the root folder, errors=panic',
    named: 'either',
    script: [spoilFolder('/')],
  },
  {
    name: 'a bad entry in the root folder, errors=panic by stored mount option',
    named: 'either',
    superblock: panicByOption,
    script: [spoilFolder('/')],
  },
  {
    name: 'a bad entry in the root folder, both, and block_validity and barriers taken away',
    named: 'either',
    superblock: [...panic, 'ssv mount_opts errors=panic,noblock_validity,nobarrier'],
    script: [spoilFolder('/')],
  },
  {
    name: 'a bad entry where root writes its receipt',
    named: 'must',
    files: pool,
    script: [spoilFolder('/nixmaker/receipts')],
  },
  {
    name: 'the same, by stored mount option',
    named: 'must',
    isRare: true,
    files: pool,
    superblock: panicByOption,
    script: [spoilFolder('/nixmaker/receipts')],
  },
  {
    name: 'bitmaps that say nonsense, where root writes its receipt',
    named: 'must',
    files: pool,
    script: ['ssv free_blocks_count 0xffffffff', 'set_bg 0 block_bitmap 1', 'set_bg 0 inode_bitmap 1'],
  },
  {
    name: 'a journal that has noted an error, where root writes its receipt',
    named: 'either',
    isRare: true,
    files: pool,
    // jbd2: s_errno, 32 bytes into the journal’s superblock, big endian.
    script: ['zap_block -f <8> -o 32 -l 4 -p 0xff 0'],
  },
  {
    name: 'a journal to be replayed that is garbage',
    named: 'either',
    files: pool,
    // s_start, 28 bytes in: there is something to replay; and the flag that says so (needs_recovery, 4).
    script: ['feature needs_recovery', 'zap_block -f <8> -o 31 -l 1 -p 1 0', 'zap_block -f <8> -p 0x5a 1'],
  },
  {
    name: 'an orphan that is the root folder',
    named: 'either',
    isRare: true,
    files: pool,
    script: ['ssv last_orphan 2'],
  },
  {
    name: 'an orphan to be deleted, which a mount for reading would do',
    named: 'either',
    files: { 'kept.txt': 'kept' },
    script: ['sif /kept.txt links_count 0', 'ssv last_orphan 12'],
  },
  {
    name: 'a bundle whose extents are nonsense',
    named: 'must',
    files: { 'web.tar': 'x'.repeat(9000) },
    // ext4_extent_header: magic, entries, max, depth.
    script: ['sif /web.tar block[0] 0x7fff0a', 'sif /web.tar block[1] 0x7fff7fff'],
  },
  {
    name: 'a bundle whose inode is nonsense',
    named: 'must',
    isRare: true,
    files: { 'web.tar': 'x', 'other.tar': 'x' },
    script: ['sif /web.tar mode 0150000', 'sif /other.tar extra_isize 0xfff7'],
  },
  {
    name: 'a folder of 2 GiB that is a hole',
    named: 'either',
    isRare: true,
    files: { 'big/': '' },
    script: ['sif /big size 0x7fffffff'],
  },
  {
    name: 'a folder of 8 EiB that is a hole',
    named: 'either',
    features: 'large_dir',
    files: { 'big/': '' },
    script: ['sif /big size 0x7fffffffffffffff'],
  },
  {
    name: 'folders that contain themselves',
    named: 'either',
    files: pool,
    script: ['link <2> /nixmaker/hosts/web/7', 'link <2> /nixmaker/keyrings', 'link <2> /web.tar'],
  },
  {
    name: 'a sparse bundle of 4 TiB, and what is longer than any file can be',
    named: 'either',
    isRare: true,
    files: { 'web.tar': 'x', 'zeros.txt': 'x' },
    script: ['sif /web.tar size 0x3fffffff000', 'sif /zeros.txt size 0xfffffffc000'],
  },
  {
    name: 'names of 255 bytes, with what repaints a terminal, and one with a slash',
    named: 'must',
    isRare: true,
    files: {
      [`${'n'.repeat(251)}.tar`]: 'x',
      '\u001b]0;hello\u0007\u202e.tar': 'x',
      'aXb.tar': 'x',
    },
    script: [],
    bytes: ['aXb.tar', 'a/b.tar'],
  },
  {
    name: 'three thousand names of one inode',
    named: 'either',
    isRare: true,
    files: { 'a.jpg': 'x' },
    script: [
      ...Array.from({ length: 60 }, () => 'expand_dir /'),
      ...Array.from({ length: 3000 }, (_, i) => `link /a.jpg /b${i}.jpg`),
    ],
  },
];

export const hostileExt4: readonly HostileStick[] = recipes.map((recipe) => ({
  name: recipe.name,
  fileSystem: 'ext4',
  named: recipe.named,
  ...(recipe.isRare === undefined ? {} : { isRare: true }),
  ...(recipe.files === pool ? { hasPool: true } : {}),
  make: (image) => make(image, recipe),
}));

async function make(
  image: string,
  { files = {}, features = '', superblock = panic, script, bytes }: Recipe,
): Promise<void> {
  const folder = `${image}.files`;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(folder, path, path.endsWith('/') ? '.' : '..'), { recursive: true });
    if (!path.endsWith('/')) await writeFile(join(folder, path), text);
  }
  // Without checksums, which would only tell sooner; whoever writes a stick writes right ones.
  const off = ['metadata_csum', 'resize_inode', 'dir_index', 'orphan_file', 'metadata_csum_seed'].map(
    (f) => `^${f}`,
  );
  const args = ['-b', '1024', '-O', [...off, ...(features === '' ? [] : [features])].join(','), '-d', folder];
  const made = await run('mke2fs', ['-q', '-F', '-t', 'ext4', ...args, image, '4M']);
  assert.equal(made.code, 0, made.stderr);
  await writeFile(`${image}.debugfs`, [...superblock, ...script].join('\n'));
  const done = await run('debugfs', ['-w', '-f', `${image}.debugfs`, image]);
  // It ends with 0 whatever it could not do, and says so on a line of its own.
  assert.match(done.stderr, /^debugfs .*\n$/);
  await rm(folder, { recursive: true });
  await rm(`${image}.debugfs`);
  if (bytes === undefined) return;
  const was = await readFile(image, 'latin1');
  assert.ok(was.includes(bytes[0]), bytes[0]);
  await writeFile(image, was.replaceAll(...bytes), 'latin1');
}
