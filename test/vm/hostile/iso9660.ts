/** Hostile ISO 9660, byte by byte (ECMA-119). */
import { writeFile } from 'node:fs/promises';
import type { HostileStick, Named } from './stick.ts';

const sector = 2048;
const rootSector = 19;
const folder = 2;

class Iso {
  readonly bytes: Buffer;

  constructor(sectors: number) {
    this.bytes = Buffer.alloc(sectors * sector);
    const volume = 16 * sector;
    this.bytes.write('\x01CD001\x01\x00', volume, 'latin1');
    this.bytes.write('NIXMAKER'.padEnd(32), volume + 8, 'latin1');
    this.bytes.write('HOSTILE'.padEnd(32), volume + 40, 'latin1');
    this.#both32(volume + 80, sectors);
    for (const at of [120, 124]) this.#both16(volume + at, 1);
    this.#both16(volume + 128, sector);
    this.#both32(volume + 132, 10);
    this.bytes.writeUInt32LE(18, volume + 140);
    this.bytes.writeUInt32BE(18, volume + 148);
    this.record(volume + 156, '\0', { at: rootSector, size: sector, flags: folder });
    this.bytes[volume + 881] = 1;
    this.bytes.write('\xffCD001\x01', 17 * sector, 'latin1');
  }

  /** A folder’s record (ECMA-119 9.1), with what comes behind its name. @returns where the next may begin */
  record(at: number, name: string, { at: extent, size, flags = 0, more = '' }: Extent): number {
    const end = 33 + name.length + (name.length % 2 === 0 ? 1 : 0);
    const length = end + more.length;
    this.bytes[at] = length;
    this.#both32(at + 2, extent);
    this.#both32(at + 10, size);
    this.bytes.set([126, 11, 28, 0, 0, 0, 0, flags], at + 18);
    this.#both16(at + 28, 1);
    this.bytes[at + 32] = name.length;
    this.bytes.write(name, at + 33, 'latin1');
    this.bytes.write(more, at + end, 'latin1');
    return at + length;
  }

  /** What every folder begins with. @returns where the next record begins */
  dots(at: number, more = ''): number {
    const own = { at: at / sector, size: sector, flags: folder };
    return this.record(this.record(at, '\0', { ...own, more }), '\x01', own);
  }

  /** The root folder’s size, as the volume’s own descriptor tells it. */
  rootSize(size: number): void {
    this.#both32(16 * sector + 156 + 10, size);
  }

  #both32(at: number, value: number): void {
    this.bytes.writeUInt32LE(value, at);
    this.bytes.writeUInt32BE(value, at + 4);
  }

  #both16(at: number, value: number): void {
    this.bytes.writeUInt16LE(value, at);
    this.bytes.writeUInt16BE(value, at + 2);
  }
}

interface Extent {
  readonly at: number;
  readonly size: number;
  readonly flags?: number;
  readonly more?: string;
}

const root = rootSector * sector;
/** SUSP’s CE: “goes on at sector, offset, length”; here at itself. */
const both32 = (value: number) => {
  const b = Buffer.alloc(8);
  b.writeUInt32LE(value, 0);
  b.writeUInt32BE(value, 4);
  return b.toString('latin1');
};
const goesOnAt = (at: number) => `CE\x1c\x01${both32(at)}${both32(0)}${both32(28)}`;
const rockRidge = 'SP\x07\x01\xbe\xef\x00';

interface Recipe {
  readonly name: string;
  readonly named: Named;
  readonly isRare?: true;
  readonly sectors?: number;
  readonly write: (iso: Iso) => void;
}

const recipes: readonly Recipe[] = [
  {
    name: 'folders that contain themselves',
    named: 'either',
    write: (iso) => {
      let at = iso.dots(root);
      for (const name of ['7', 'A.TAR', 'HOSTS', 'KEYRINGS', 'MANIFEST.JSON', 'NIXMAKER', 'WEB'])
        at = iso.record(at, name, { at: rootSector, size: sector, flags: folder });
    },
  },
  {
    name: 'a root folder of 4 GiB, past the end of the device',
    named: 'either',
    write: (iso) => {
      iso.record(iso.dots(root), 'A.TAR;1', { at: 20, size: 100 });
      iso.rootSize(0xfffff800);
    },
  },
  {
    name: 'a bundle of 4 GiB past the end, one in a thousand sections, one nowhere',
    named: 'either',
    isRare: true,
    write: (iso) => {
      let at = iso.dots(root);
      at = iso.record(at, 'FAR.TAR;1', { at: 0xfffffff0, size: 0xffffffff });
      for (let i = 0; i < 20; i += 1)
        at = iso.record(at, 'MANY.TAR;1', { at: 20, size: 0xfffff800, flags: 0x80 });
      iso.record(at, 'MANY.TAR;1', { at: 20, size: 100 });
    },
  },
  {
    name: 'records that are longer than their sector, shorter than a record, and longer than their name',
    named: 'either',
    isRare: true,
    write: (iso) => {
      let at = iso.dots(root);
      at = iso.record(at, 'A.TAR;1', { at: 20, size: 100 });
      iso.bytes[at] = 3;
      iso.bytes[root + sector - 1] = 0xff;
    },
  },
  {
    name: 'Rock Ridge that goes on at itself',
    named: 'either',
    write: (iso) => {
      const at = iso.dots(root, rockRidge);
      iso.record(at, 'A.TAR;1', { at: 21, size: 100, more: goesOnAt(20) });
      iso.bytes.write(goesOnAt(20), 20 * sector, 'latin1');
    },
  },
  {
    name: 'twenty thousand files',
    named: 'either',
    isRare: true,
    sectors: 500,
    write: (iso) => {
      let at = iso.dots(root);
      for (let i = 0; i < 20_000; i += 1) {
        // A record never crosses a sector.
        if (sector - (at % sector) < 50) at = Math.ceil(at / sector) * sector;
        at = iso.record(at, `${String(i).padStart(8, '0')}.JPG;1`, {
          at: 18,
          size: 100,
        });
      }
      iso.rootSize(Math.ceil((at - root) / sector) * sector);
    },
  },
];

export const hostileIso: readonly HostileStick[] = recipes.map(({ write, sectors = 32, ...told }) => ({
  ...told,
  fileSystem: 'iso9660',
  make: async (image) => {
    const iso = new Iso(sectors);
    write(iso);
    await writeFile(image, iso.bytes);
  },
}));
