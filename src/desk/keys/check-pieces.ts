/** Checks everything a bundle carries against what was signed: each NAR’s hash and size, and what it is made of. */
import { forEachAtOnce } from '../../bundle/at-once.ts';
import { damaged, isIntact, type OpenedBundle } from '../../bundle/contents.ts';
import { checkWholePiece } from '../../bundle/nar-check.ts';
import type { NarCount } from '../../bundle/nar-count.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { Piece, WholePiece } from '../../core/release/contents-file.ts';

/**
 * @throws NixmakerError `bundle-altered`, `bundle-malformed`, `bundle-truncated`, `io-error`; `manifest-malformed` if the index
 * contradicts a path’s NAR
 */
export async function checkPieces(bundle: OpenedBundle): Promise<void> {
  const { reader } = bundle;
  const whole = new WholePieces(bundle);
  await forEachAtOnce(eachPiece(bundle), async (piece) => {
    if (piece.kind === 'whole') await whole.check(piece);
    // Only somebody who has its base can say what it gives.
    else if (!(await isIntact(reader, piece))) throw damaged(piece);
  });
}

function* eachPiece({ pieces }: Pick<OpenedBundle, 'pieces'>): Generator<Piece, void, void> {
  for (const ofLine of pieces.values()) yield* ofLine;
}

class WholePieces {
  readonly #bundle: OpenedBundle;
  /** By file and hash: paths can share a NAR. */
  readonly #counts = new Map<string, Promise<NarCount>>();

  constructor(bundle: OpenedBundle) {
    this.#bundle = bundle;
  }

  async check(piece: WholePiece): Promise<void> {
    const { path, narHash, narSize, files, blocks } = this.#bundle.index.line(piece.line);
    const name = `${piece.digest} ${piece.size} ${narHash} ${narSize}`;
    const counting =
      this.#counts.get(name) ?? checkWholePiece(this.#bundle.reader, piece, { narHash, narSize });
    this.#counts.set(name, counting);
    const counted = await counting;
    if (counted.files !== files || counted.blocks !== blocks)
      throw new NixmakerError(
        'manifest-malformed',
        `${path} has ${counted.files} files of ${counted.blocks} blocks; its index says ${files} of ${blocks}`,
      );
  }
}
