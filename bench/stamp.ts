/**
 * node bench/stamp.ts FOLDER PATH…: writes store paths into a package’s files, as a build does: into the run-time search paths of binaries,
 * and the wrappers and configuration of the rest. Anything rebuilt contains new hashes, even if nothing else in it changes.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const [folder = '', ...references] = process.argv.slice(2);
const own = [folder, ...references];

/** Of files that aren’t programs, one in this many. */
const oneIn = 4;
const numberOf = (name: string) => createHash('sha256').update(name).digest().readUInt32LE(0);

for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath, entry.name);
  const { size } = statSync(path);
  const file = openSync(path, 'r+');
  if (size >= 256 * 1024) {
    // In six places of a program, or of anything as large as one.
    for (let i = 0; i < 6; i++) {
      const text = Buffer.from(`\0${own[i % own.length]}/lib:\0`);
      writeSync(file, text, 0, text.length, Math.floor((size * i) / 6) + 792);
    }
  } else if (numberOf(path.slice(folder.length)) % oneIn === 0) {
    const text = Buffer.from(`\n# ${own.join(':')}\n`);
    writeSync(file, text, 0, text.length, size);
  }
  closeSync(file);
}
