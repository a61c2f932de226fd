/**
 * Adding a signature to a bundle. Where the first signer has a Nix key, it also signs every narinfo, for Nix's own check;
 * that changes the manifest, which names their digests. Later signers sign the manifest as it is, so that nobody's
 * signature is lost; paths that no Nix key has signed are vouched for at the target (target/root/vouch.ts).
 */
import { dirname, join } from 'node:path';
import { checkAllNars } from '../../bundle/contents.ts';
import { withBundleFile } from '../../bundle/file.ts';
import { authenticateBundle, type OpenedTar, openBundle } from '../../bundle/open.ts';
import { memberOf, type SourcedMember, writeBundle } from '../../bundle/write.ts';
import type { ManifestInput } from '../../core/bundle/manifest.ts';
import { renderNarinfo } from '../../core/bundle/narinfo.ts';
import { NixmakerError } from '../../core/errors.ts';
import { writeWhole } from '../../files/write.ts';
import type { SecretKey } from '../../signing/nix-key.ts';
import { preAuthenticationEncoding } from '../../signing/pae.ts';
import { signPath } from '../../signing/path-signature.ts';
import { parseSignatureFile } from '../../signing/signature-file.ts';
import { encodeCheckedManifest } from '../build/assemble.ts';
import { checkEverything, withoutVerifying } from './verify.ts';

/** Whoever signs a manifest: a Nix key, or a person’s SSH key. */
export interface Signer {
  readonly name: string;
  readonly kind: 'nix' | 'ssh';
  /** As policies trust it. */
  readonly publicText: string;
  /** @param message an encoding that binds the bytes to what they are (pae.ts) @returns the signature in base64 */
  readonly sign: (message: Buffer) => Promise<string>;
  /** Of a Nix key: it can sign narinfos as well. */
  readonly key?: SecretKey;
}

export const signerWith = (key: SecretKey): Signer => ({
  name: key.name,
  kind: 'nix',
  publicText: `${key.name}:${key.publicKey.material}`,
  sign: async (message) => key.sign(message),
  key,
});

/** Signs in place, atomically. What is signed is checked first: a damaged bundle is not made to look good. */
export async function signBundleFile(path: string, signer: Signer): Promise<void> {
  if (path.endsWith('.tar.gz')) return signClassic(path, signer);
  await withBundleFile(path, async (file) => {
    const authenticated = await authenticateBundle(file, withoutVerifying);
    const bundle = await openBundle(file, authenticated);
    await checkAllNars(bundle);
    const { manifestBytes, signatureBytes } = authenticated.authentic;
    const parts =
      signatureBytes.length === 0 && signer.key !== undefined
        ? signPaths(path, bundle, { key: signer.key, manifestBytes })
        : { manifestBytes, members: sources(path, bundle, new Map()) };
    await writeBundle(path, {
      ...parts,
      signatureBytes: await addSignature(signatureBytes, parts.manifestBytes, signer),
    });
  });
}

function signPaths(
  path: string,
  bundle: OpenedTar,
  { key, manifestBytes }: { key: SecretKey; manifestBytes: Buffer },
): { manifestBytes: Buffer; members: SourcedMember[] } {
  const signed = new Map(
    [...bundle.narinfos].map(
      ([name, info]) =>
        [name, Buffer.from(renderNarinfo({ ...info, signatures: [signPath(info, key)] }))] as const,
    ),
  );
  const members = sources(path, bundle, signed);
  const input = JSON.parse(manifestBytes.toString('utf8')) as ManifestInput;
  return {
    members,
    manifestBytes: encodeCheckedManifest({ ...input, members: members.map((m) => m.member) }),
  };
}

/** Every member as it stands in the bundle, or in its new form. */
function sources(path: string, bundle: OpenedTar, changed: ReadonlyMap<string, Buffer>): SourcedMember[] {
  return bundle.placed.map(({ position, ...member }) => {
    const bytes = changed.get(member.name);
    if (bytes !== undefined) return { member: memberOf(member.name, bytes), source: bytes };
    return { member, source: { path, position } };
  });
}

async function addSignature(existing: Uint8Array, manifestBytes: Buffer, signer: Signer): Promise<Buffer> {
  if (existing.length > 0 && parseSignatureFile(existing).some((s) => s.keyName === signer.name)) {
    throw new NixmakerError('usage', `“${signer.name}” has signed this bundle already`);
  }
  const signature = await signer.sign(preAuthenticationEncoding(manifestBytes));
  return Buffer.concat([existing, Buffer.from(`${signer.name}:${signature}\n`)]);
}

async function signClassic(path: string, signer: Signer): Promise<void> {
  const head = await checkEverything(path, withoutVerifying);
  const signatures = await addSignature(head.signatureBytes, Buffer.from(head.manifestBytes), signer);
  await writeWhole(join(dirname(path), 'manifest.sig'), signatures);
}
