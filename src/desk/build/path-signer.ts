/** A Nix key’s block in `nix.sig`: the signature Nix itself looks for, on each path that needs one. */
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import { encodeKeyBlock } from '../../core/release/nix-signatures.ts';
import type { StorePath } from '../../core/store-path.ts';
import type { SecretKey } from '../../signing/nix-key.ts';
import { signPath } from '../../signing/path-signature.ts';

/** Signs each path once, however many hosts carry it: within a build a path never differs. */
export class PathSigner {
  readonly #key: SecretKey;
  readonly #signed = new Map<StorePath, string>();

  constructor(key: SecretKey) {
    this.#key = key;
  }

  block(index: ReleaseIndex): Buffer {
    return Buffer.from(
      encodeKeyBlock(index, this.#key.name, (line) => {
        const path = index.path(line);
        const signature = this.#signed.get(path) ?? signPath(index.info(line), this.#key);
        this.#signed.set(path, signature);
        return signature;
      }),
    );
  }
}
