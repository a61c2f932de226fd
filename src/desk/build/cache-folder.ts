/** The binary cache folder that bundles are made from. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Narinfo, parseNarinfo } from '../../core/bundle/narinfo.ts';
import { hashPart, type StorePath } from '../../core/store-path.ts';
import type { SecretKey } from '../../signing/nix-key.ts';
import { signPath } from '../../signing/path-signature.ts';

/**
 * A binary cache folder that Nix fills. Each narinfo is read and signed once, however many hosts carry its path. Deriver and
 * foreign signatures are left out: they depend on where a path came from, and the same system must give the same bundle on
 * any machine.
 */
export class CacheFolder {
  readonly path: string;
  readonly #key: SecretKey | undefined;
  readonly #known = new Map<StorePath, Narinfo>();

  constructor(path: string, key?: SecretKey) {
    this.path = path;
    this.#key = key;
  }

  /** Sorted by path. @throws the file system’s own errors */
  closureOf(root: StorePath): Narinfo[] {
    const found = new Set([root]);
    for (const path of found) for (const reference of this.#narinfo(path).references) found.add(reference);
    return [...found].sort().map((path) => this.#narinfo(path));
  }

  #narinfo(path: StorePath): Narinfo {
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const text = readFileSync(join(this.path, `${hashPart(path)}.narinfo`), 'utf8');
    const { deriver: _deriver, signatures: _signatures, ...info } = parseNarinfo(text);
    const signatures = this.#key === undefined ? [] : [signPath(info, this.#key)];
    const read = { ...info, signatures };
    this.#known.set(path, read);
    return read;
  }
}
