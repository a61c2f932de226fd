/** Hostile FAT16, byte by byte: no program makes what is here. */
import { writeFile } from 'node:fs/promises';
import type { HostileStick, Named } from './stick.ts';

const sector = 512;
const fatSectors = 17;
const rootEntries = 512;
const clusters = 4300;
const dataStart = sector * (1 + fatSectors) + rootEntries * 32;
const folder = 0x10;

class Fat {
  readonly bytes = Buffer.alloc(dataStart + clusters * sector);

  constructor() {
    const b = this.bytes;
    b.write('\xeb\x3c\x90nixmaker', 0, 'latin1');
    b.writeUInt16LE(sector, 11);
    b[13] = 1; // sectors a cluster
    b.writeUInt16LE(1, 14); // reserved sectors
    b[16] = 1; // FATs
    b.writeUInt16LE(rootEntries, 17);
    b.writeUInt16LE(b.length / sector, 19);
    b[21] = 0xf8;
    b.writeUInt16LE(fatSectors, 22);
    b[38] = 0x29;
    b.write('HOSTILE    FAT16   ', 43, 'latin1');
    b.writeUInt16LE(0xaa55, 510);
    this.chain(0, 0xfff8);
    this.chain(1, 0xffff);
  }

  chain(cluster: number, next: number): void {
    this.bytes.writeUInt16LE(next, sector + cluster * 2);
  }

  /** The `index`th entry of a folder: of the root, or of one that begins at that cluster. */
  at(place: number | 'root', index: number): number {
    const start = place === 'root' ? dataStart - rootEntries * 32 : dataStart + (place - 2) * sector;
    return start + index * 32;
  }

  /**
   * A folder of one cluster, with what the kernel wants of each: without `.` and `..` it looks at no other entry
   * (fs/fat, fat_validate_dir). @returns the number of its first free entry
   */
  folder(cluster: number, parent: number): number {
    this.chain(cluster, 0xffff);
    this.entry(this.at(cluster, 0), '.', asFolder(cluster));
    this.entry(this.at(cluster, 1), '..', asFolder(parent));
    return 2;
  }

  /** @param name eleven characters, as FAT has them */
  entry(at: number, name: string, { cluster, size = 0, attributes = 0 }: Entry): void {
    this.bytes.write(name.padEnd(11), at, 'latin1');
    this.bytes[at + 11] = attributes;
    this.bytes.writeUInt16LE(cluster, at + 26);
    this.bytes.writeUInt32LE(size, at + 28);
  }

  /** The slots of a long name, and behind them its entry. @returns where it ends */
  longName(at: number, name: string, entry: Entry): number {
    const short = 'LONG    TAR';
    let sum = 0;
    for (const c of Buffer.from(short, 'latin1')) sum = (((sum & 1) << 7) + (sum >> 1) + c) & 0xff;
    const count = Math.ceil(name.length / 13);
    const text = Buffer.alloc(count * 26, 0xff);
    text.write(name, 0, 'utf16le');
    if (name.length % 13 !== 0) text.writeUInt16LE(0, name.length * 2);
    for (let slot = count; slot > 0; slot -= 1) {
      const to = at + (count - slot) * 32;
      this.bytes[to] = slot | (slot === count ? 0x40 : 0);
      this.bytes[to + 11] = 0x0f;
      this.bytes[to + 13] = sum;
      const from = (slot - 1) * 26;
      text.copy(this.bytes, to + 1, from, from + 10);
      text.copy(this.bytes, to + 14, from + 10, from + 22);
      text.copy(this.bytes, to + 28, from + 22, from + 26);
    }
    this.entry(at + count * 32, short, entry);
    return at + (count + 1) * 32;
  }
}

interface Entry {
  readonly cluster: number;
  readonly size?: number;
  readonly attributes?: number;
}

const asFolder = (cluster: number): Entry => ({ cluster, attributes: folder });

interface Recipe {
  readonly name: string;
  readonly named: Named;
  readonly isRare?: true;
  readonly hasPool?: true;
  readonly write: (fat: Fat) => void;
}

const recipes: readonly Recipe[] = [
  {
    name: 'a pool whose clusters go in a circle',
    named: 'must',
    write: (fat) => {
      fat.entry(fat.at('root', 0), 'NIXMAKER', asFolder(4));
      fat.entry(fat.at(4, fat.folder(4, 0)), 'RECEIPTS', asFolder(5));
      fat.folder(5, 4);
      fat.chain(5, 6);
      fat.chain(6, 5);
      for (const [cluster, from] of [
        [5, 2],
        [6, 0],
      ] as const)
        for (let i = from; i < 16; i += 1) fat.entry(fat.at(cluster, i), `C${cluster}${i}`, asFolder(5));
    },
  },
  {
    name: 'folders that contain themselves',
    named: 'either',
    write: (fat) => {
      const first = fat.folder(5, 0);
      for (const place of ['root', 5] as const)
        for (const [i, name] of [
          'NIXMAKER',
          'HOSTS',
          'WEB',
          '7',
          'RECEIPTS',
          'KEYRINGS',
          'MANIFESTJSO',
          'A       TAR',
        ].entries())
          fat.entry(fat.at(place, place === 'root' ? i : first + i), name, asFolder(5));
    },
  },
  {
    name: 'a bundle of 4 GiB in one cluster, one in a circle of clusters, one nowhere',
    named: 'either',
    write: (fat) => {
      fat.chain(5, 0xffff);
      fat.entry(fat.at('root', 0), 'SHORT   TAR', { cluster: 5, size: 0xffffffff });
      fat.chain(6, 7);
      fat.chain(7, 6);
      fat.entry(fat.at('root', 1), 'CIRCLE  TAR', { cluster: 6, size: 0xfffff000 });
      fat.entry(fat.at('root', 2), 'NOWHERE TAR', { cluster: 0xfff0, size: 0x7fffffff });
    },
  },
  {
    name: 'names of 255 characters, with slashes, with what repaints a terminal, with half a character',
    named: 'either',
    isRare: true,
    write: (fat) => {
      let at = fat.at('root', 0);
      for (const name of ['n'.repeat(251), '../../etc/passwd', '\u001b]0;hello\u0007\u202e', '\ud800half'])
        at = fat.longName(at, `${name}.tar`, { cluster: 5, size: 512 });
    },
  },
  {
    name: 'a folder of 65,000 files, nearly as many as the kernel takes',
    named: 'either',
    write: (fat) => {
      fat.entry(fat.at('root', 0), 'MANY', asFolder(5));
      const first = fat.folder(5, 0);
      for (let cluster = 5; cluster < 4100; cluster += 1) fat.chain(cluster, cluster + 1);
      fat.chain(4100, 0xffff);
      for (let i = 0; i < 65_000; i += 1)
        fat.entry(fat.at(5, first + i), `${String(i).padStart(8, '0')}JPG`, { cluster: 0 });
    },
  },
  {
    name: 'a boot sector with clusters of no sectors',
    named: 'either',
    isRare: true,
    write: (fat) => {
      fat.bytes[13] = 0;
    },
  },
];

export const hostileVfat: readonly HostileStick[] = recipes.map(({ write, ...told }) => ({
  ...told,
  fileSystem: 'vfat',
  make: async (image) => {
    const fat = new Fat();
    write(fat);
    await writeFile(image, fat.bytes);
  },
}));
