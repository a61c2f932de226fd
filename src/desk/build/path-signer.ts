/** A Nix key’s block in `nix.sig`: the signature Nix itself looks for, on each path that needs one. */
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import { encodeKeyBlock } from '../../core/release/nix-signatures.ts';
import type { StorePath } from '../../core/store-path.ts';
import type { SecretKey } from '../../signing/nix-key.ts';
import { signPath } from '../../signing/path-signature.ts';
import type { KeptSignatures } from './kept-signatures.ts';

/** Signs each path once, however many hosts carry it: within a build a path never differs. */
export class PathSigner {
  readonly #key: SecretKey;
  readonly #kept: KeptSignatures | undefined;
  readonly #signed = new Map<StorePath, string>();

  /** @param kept what earlier builds signed with this key */
  constructor(key: SecretKey, kept?: KeptSignatures) {
    this.#key = key;
    this.#kept = kept;
  }

  block(index: ReleaseIndex): Buffer {
    return Buffer.from(
      encodeKeyBlock(index, this.#key.name, (line) => {
        const path = index.path(line);
        const signature = this.#signed.get(path) ?? this.#sign(index, line);
        this.#signed.set(path, signature);
        return signature;
      }),
    );
  }

  #sign(index: ReleaseIndex, line: number): string {
    const info = index.info(line);
    if (this.#kept === undefined) return signPath(info, this.#key);
    return `${this.#key.name}:${this.#kept.of(info, (message) => this.#key.sign(message))}`;
  }
}
