/**
 * A target in memory, which has what the kit’s running bundle holds: what it says of an attack, and of the control that differs from it
 * in nothing but the one thing.
 */
import { zstdDecompressSync } from 'node:zlib';
import { NixmakerError } from '../../src/core/errors.ts';
import { decide } from '../../src/core/policy/decide.ts';
import { policyParser } from '../../src/core/policy/policy.ts';
import { parseManifest } from '../../src/core/release/manifest.ts';
import { makeTrustSet, verifyManifest } from '../../src/signing/verify.ts';
import { openFromMemory } from '../fuzz/memory-file.ts';
import { bytesOf } from './bundles.ts';
import { type Kit, sha256, type TakenApart, takeBytesApart } from './forge.ts';
import { linesOf, pieceOf } from './forge-release.ts';
import { facts } from './manifests.ts';

export interface Answer {
  readonly code: string;
  readonly detail: string;
}

const pathOf = (name: unknown) => `/nix/store/${String(name)}`;

/** NARs by path, and their hashes. */
function storeOf(running: TakenApart) {
  return new Map(
    linesOf(running).map(([name, narHash], line) => [
      pathOf(name),
      { narHash, nar: () => zstdDecompressSync(pieceOf(running, line)) },
    ]),
  );
}

/**
 * Everything that a target asks before a path is imported.
 * @param keys that the policy trusts
 * @returns undefined where it takes the bundle
 */
export async function answerOf(
  bytes: Buffer,
  kit: Pick<Kit, 'running'>,
  { keys, policy }: { readonly keys: readonly string[]; readonly policy: Readonly<Record<string, unknown>> },
): Promise<Answer | undefined> {
  const store = storeOf(kit.running);
  const parsed = policyParser.parse({
    ...{ schema: 1, host: 'web', operation: 'switch', trustedKeys: keys },
    ...policy,
  });
  const trust = makeTrustSet(keys, parsed.threshold);
  try {
    const bundle = await openFromMemory(bytes, trust, (path) =>
      bytesOf(store.get(path)?.nar() ?? Buffer.alloc(0)),
    );
    const missing = (path: string, narHash: string) =>
      store.get(path)?.narHash === narHash ? [] : [{ code: 'base-missing', detail: path }];
    const { manifestBytes, signatureBytes } = takeBytesApart(bytes);
    const { signedBy, digest } = verifyManifest(manifestBytes, signatureBytes, trust);
    const verdict = decide(bundle.manifest, factsFor(kit.running, { signedBy, digest }), parsed);
    const lacking = Array.from({ length: bundle.index.length }, (_, line) => line).flatMap((line) => {
      const { path, narHash } = bundle.index.line(line);
      const [piece] = bundle.pieces.get(line) ?? [];
      if (piece === undefined) return missing(path, narHash);
      return piece.kind === 'delta' ? missing(piece.base, piece.baseNarHash) : [];
    });
    return verdict.verdict === 'accept'
      ? lacking[0]
      : 'code' in verdict
        ? verdict
        : { code: verdict.verdict, detail: '' };
  } catch (error) {
    if (error instanceof NixmakerError) return { code: error.code, detail: error.detail };
    throw error;
  }
}

const factsFor = (
  { manifest, manifestBytes }: TakenApart,
  { signedBy, digest }: { readonly signedBy: readonly string[]; readonly digest: string },
) =>
  facts({
    ...{ manifestDigest: digest, signedBy, system: manifest.system, now: new Date().toISOString() },
    floor: {
      sequence: parseManifest(manifestBytes.toString()).sequence,
      manifestDigest: sha256(manifestBytes),
    },
  });
