/** Other contents under a genuine store path, signed by a key that Nix trusts: what the thief of one key can make. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { plainNarinfo, renderNarinfo } from '../../src/core/bundle/narinfo.ts';
import { encodeNix32 } from '../../src/core/nix32.ts';
import { hashPart, type StorePath } from '../../src/core/store-path.ts';
import { narOf } from '../../src/nix/nar.ts';
import { parseSecretKey } from '../../src/signing/nix-key.ts';
import { signPath } from '../../src/signing/path-signature.ts';

export interface Foreign {
  readonly path: StorePath;
  /** A file or folder whose contents are put there. */
  readonly contents: string;
  readonly references: readonly StorePath[];
  readonly secretFile: string;
}

/** Writes a binary cache that has just the paths. @returns its folder, for `nix copy --no-recursive --from file://…` */
export async function foreignCache(folder: string, paths: readonly Foreign[]): Promise<string> {
  await mkdir(join(folder, 'nar'), { recursive: true });
  await writeFile(join(folder, 'nix-cache-info'), 'StoreDir: /nix/store\n');
  for (const { path, contents, references, secretFile } of paths) {
    const chunks: Buffer[] = [];
    for await (const chunk of narOf(contents)) chunks.push(chunk);
    const nar = Buffer.concat(chunks);
    const narHash = `sha256:${encodeNix32(createHash('sha256').update(nar).digest())}`;
    const info = { path, narHash, narSize: nar.length, references: [...references].sort() };
    const key = parseSecretKey((await readFile(secretFile, 'utf8')).trim());
    const narinfo = plainNarinfo(info, [signPath(info, key)]);
    await writeFile(join(folder, narinfo.url), nar);
    await writeFile(join(folder, `${hashPart(path)}.narinfo`), renderNarinfo(narinfo));
  }
  return folder;
}
