/** Real bundle files without Nix: NARs are any bytes, for nothing below the agent looks into them. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { cacheInfo } from '../../src/bundle/contents.ts';
import { openBundleFile } from '../../src/bundle/file.ts';
import { authenticateBundle, openBundle } from '../../src/bundle/open.ts';
import { memberOf, type SourcedMember, writeBundle } from '../../src/bundle/write.ts';
import {
  encodeManifest,
  type ManifestInput,
  metaText,
  parseManifest,
} from '../../src/core/bundle/manifest.ts';
import { type Narinfo, renderNarinfo } from '../../src/core/bundle/narinfo.ts';
import { encodeNix32 } from '../../src/core/nix32.ts';
import { hashPart, parseStorePath, type StorePath } from '../../src/core/store-path.ts';
import { generateKeyPair, parseSecretKey } from '../../src/signing/nix-key.ts';
import { signManifest } from '../../src/signing/signature-file.ts';
import { makeTrustSet, verifyManifest } from '../../src/signing/verify.ts';
import { manifestInput } from './manifests.ts';

/** A folder that goes when the test ends. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nixmaker-test-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export const pair = generateKeyPair('test-1');
export const secret = parseSecretKey(pair.secret);
const trust = makeTrustSet([pair.public], 1);

export interface BundlePlan {
  /** Sizes of the two NARs. */
  readonly narSizes?: readonly [number, number];
  readonly manifest?: Partial<ManifestInput>;
  /** Last chance to spoil the members before the manifest is made from them. */
  readonly members?: (members: SourcedMember[]) => SourcedMember[];
  readonly narinfo?: (info: Narinfo) => Narinfo;
}

/** Writes a signed bundle of two paths. */
export async function writeTestBundle(path: string, plan: BundlePlan = {}): Promise<ManifestInput> {
  const base = manifestInput(plan.manifest);
  const nars = (plan.narSizes ?? [3000, 700]).map((size) => randomBytes(size));
  const narinfos = base.paths.map((info, i): Narinfo => {
    const fileHash = encodeNix32(
      createHash('sha256')
        .update(nars[i] as Buffer)
        .digest(),
    );
    const narinfo: Narinfo = {
      path: parseStorePath(info.path) as StorePath,
      url: `nar/${fileHash}.nar.zst`,
      compression: 'zstd',
      fileHash: `sha256:${fileHash}`,
      fileSize: (nars[i] as Buffer).length,
      narHash: info.narHash,
      narSize: info.narSize,
      references: info.references.map((r) => parseStorePath(`/nix/store/${r}`) as StorePath),
      signatures: [],
    };
    return plan.narinfo?.(narinfo) ?? narinfo;
  });
  const text = (name: string, content: string): SourcedMember => {
    const source = Buffer.from(content);
    return { member: memberOf(name, source), source };
  };
  const narMembers = narinfos
    .map(({ url }, i) => ({ member: memberOf(url, nars[i] as Buffer), source: nars[i] as Buffer }))
    .sort((a, b) => (a.member.name < b.member.name ? -1 : 1));
  const parsed = parseManifest(encodeManifest(base));
  const members = [
    text('meta', metaText(parsed)),
    text('nix-cache-info', cacheInfo),
    ...narinfos.map((info) => text(`${hashPart(info.path)}.narinfo`, renderNarinfo(info))),
    ...narMembers,
  ];
  const chosen = plan.members?.(members) ?? members;
  const manifest = { ...base, members: chosen.map((m) => m.member) };
  const manifestBytes = Buffer.from(encodeManifest(manifest));
  const signatureBytes = Buffer.from(signManifest(manifestBytes, secret));
  await writeBundle(path, { manifestBytes, signatureBytes, members: chosen });
  return manifest;
}

/** Opens a bundle the way the agent does, up to its small members. */
export async function openTestBundle(path: string) {
  const file = await openBundleFile(path);
  try {
    const authenticated = await authenticateBundle(file, (head) =>
      verifyManifest(head.manifestBytes, head.signatureBytes, trust),
    );
    return await openBundle(file, authenticated);
  } catch (error) {
    await file.close();
    throw error;
  }
}
