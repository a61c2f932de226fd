/** Hostile exFAT, byte by byte (Microsoft, exFAT file system specification, §3 to §7): no program makes what is here. */
import { writeFile } from 'node:fs/promises';
import type { HostileStick, Named } from './stick.ts';

const sector = 512;
const fatStart = 24;
const fatSectors = 16;
const heapStart = fatStart + fatSectors;
/** Of one sector each. */
const clusters = 2000;
const root = 4;
const last = 0xffffffff;

/** What a set of entries is of: a folder or a file, with what its stream entry says. */
interface Stream {
  readonly cluster: number;
  readonly size: bigint;
  readonly isFolder?: true;
  /** Contiguous: the FAT is not asked. */
  readonly isUnchained?: true;
}

class ExFat {
  readonly bytes = Buffer.alloc((heapStart + clusters) * sector);
  clusterCount = clusters;
  fatLength = fatSectors;

  constructor() {
    this.chain(0, 0xfffffff8);
    this.chain(1, last);
    for (const cluster of [2, 3, root]) this.chain(cluster, last);
    const bitmap = Buffer.alloc(32);
    bitmap[0] = 0x81;
    bitmap.writeUInt32LE(2, 20);
    bitmap.writeBigUInt64LE(BigInt(Math.ceil(clusters / 8)), 24);
    // Its checksum is none: Linux then takes a table of its own.
    const upcase = Buffer.alloc(32);
    upcase[0] = 0x82;
    upcase.writeUInt32LE(3, 20);
    upcase.writeBigUInt64LE(128n, 24);
    Buffer.concat([bitmap, upcase]).copy(this.bytes, this.at(root));
  }

  chain(cluster: number, next: number): void {
    this.bytes.writeUInt32LE(next, fatStart * sector + cluster * 4);
  }

  at(cluster: number): number {
    return (heapStart + cluster - 2) * sector;
  }

  /** A set of entries: the file’s, the stream’s, and its name’s, of at most fifteen characters. @returns where it ends */
  entry(at: number, name: string, { cluster, size, isFolder, isUnchained }: Stream): number {
    const set = Buffer.alloc(96);
    set[0] = 0x85;
    set[1] = 2;
    set.writeUInt16LE(isFolder ? 0x10 : 0, 4);
    set[32] = 0xc0;
    set[33] = isUnchained ? 3 : 1;
    set[35] = name.length;
    set.writeUInt16LE(sum(Buffer.from(name.toUpperCase(), 'utf16le')), 36);
    set.writeBigUInt64LE(size, 40);
    set.writeUInt32LE(cluster, 52);
    set.writeBigUInt64LE(size, 56);
    set[64] = 0xc1;
    set.write(name, 66, 'utf16le');
    set.writeUInt16LE(sum(Buffer.concat([set.subarray(0, 2), set.subarray(4)])), 2);
    set.copy(this.bytes, at);
    return at + set.length;
  }

  /** The boot region with its checksum, and its copy. */
  seal(): Buffer {
    const b = this.bytes;
    b.write('\xeb\x76\x90EXFAT   ', 0, 'latin1');
    b.writeBigUInt64LE(BigInt(b.length / sector), 72);
    b.writeUInt32LE(fatStart, 80);
    b.writeUInt32LE(this.fatLength, 84);
    b.writeUInt32LE(heapStart, 88);
    b.writeUInt32LE(this.clusterCount, 92);
    b.writeUInt32LE(root, 96);
    b.writeUInt16LE(0x100, 104);
    b[108] = 9; // log2 of the bytes of a sector, and of the sectors of a cluster
    b[109] = 0;
    b[110] = 1;
    b[111] = 0x80;
    b.writeUInt16LE(0xaa55, 510);
    for (let i = 1; i <= 8; i++) b.writeUInt32LE(0xaa550000, (i + 1) * sector - 4);
    let check = 0;
    for (let i = 0; i < 11 * sector; i++)
      if (i !== 106 && i !== 107 && i !== 112)
        check = (((check & 1) << 31) + (check >>> 1) + (b[i] as number)) >>> 0;
    for (let i = 0; i < sector; i += 4) b.writeUInt32LE(check, 11 * sector + i);
    b.copy(b, 12 * sector, 0, 12 * sector);
    return b;
  }
}

/** Of a name, and of a set of entries (§6.3.3, §7.6.4): 16 bits, turned by one for each byte. */
function sum(bytes: Buffer): number {
  let value = 0;
  for (const byte of bytes) value = (((value & 1) << 15) + (value >> 1) + byte) & 0xffff;
  return value;
}

const firstFree = (fat: ExFat, cluster: number) => fat.at(cluster) + (cluster === root ? 64 : 0);
const oneCluster = BigInt(sector);

interface Recipe {
  readonly name: string;
  readonly named: Named;
  readonly write: (fat: ExFat) => void;
}

const recipes: readonly Recipe[] = [
  {
    name: 'a volume of 2^28 clusters, nearly all of them beyond its end',
    named: 'either',
    write: (fat) => {
      fat.clusterCount = 0x0fffffff;
      fat.fatLength = 0x00200000;
    },
  },
  {
    name: 'a root folder whose clusters go in a circle',
    named: 'must',
    write: (fat) => {
      fat.chain(root, 6);
      fat.chain(6, root);
      // In use to their ends, so that nothing but the FAT says where to stop.
      for (let at = firstFree(fat, root); at + 96 <= fat.at(root) + sector; )
        at = fat.entry(at, `r${at}.tar`, { cluster: 7, size: oneCluster });
      for (let at = fat.at(6); at < fat.at(6) + sector; at += 32) fat.bytes[at] = 0x05;
      for (let at = firstFree(fat, root); at < fat.at(root) + sector; at += 32)
        if (fat.bytes[at] === 0) fat.bytes[at] = 0x05;
    },
  },
  {
    name: 'folders that contain themselves',
    named: 'either',
    write: (fat) => {
      const itself = { cluster: 6, size: oneCluster, isFolder: true } as const;
      fat.chain(6, last);
      fat.entry(firstFree(fat, root), 'nixmaker', itself);
      let at = fat.at(6);
      for (const name of ['hosts', 'web', 'receipts', 'keyrings', 'cache']) at = fat.entry(at, name, itself);
    },
  },
  {
    name: 'a bundle of 2^60 bytes in one cluster, one in a circle of clusters, one nowhere',
    named: 'either',
    write: (fat) => {
      let at = firstFree(fat, root);
      at = fat.entry(at, 'huge.tar', { cluster: 6, size: 2n ** 60n, isUnchained: true });
      fat.chain(7, 8);
      fat.chain(8, 7);
      at = fat.entry(at, 'circle.tar', { cluster: 7, size: 2n ** 30n });
      fat.entry(at, 'nowhere.tar', { cluster: 0xfffffff0, size: 4096n });
    },
  },
];

export const hostileExfat: readonly HostileStick[] = recipes.map(({ write, ...told }) => ({
  ...told,
  fileSystem: 'exfat',
  make: async (image) => {
    const fat = new ExFat();
    write(fat);
    await writeFile(image, fat.seal());
  },
}));
