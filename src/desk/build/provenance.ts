/** The provenance statement that `build --provenance` leaves beside a bundle. */

import type { Manifest } from '../../core/release/manifest.ts';
import { type Dependency, encodeProvenance, provenanceType } from '../../core/release/provenance.ts';
import type { FlakeMetadata } from '../../nix/flake.ts';
import { addToEnvelope, unsignedEnvelope } from '../../signing/envelope.ts';
import { preAuthenticationEncoding } from '../../signing/pae.ts';
import type { Signer } from '../../signing/signer.ts';

/** What is the same for all hosts of a build. */
export interface ProvenanceSource {
  /** Who built it, in the operator’s words. */
  readonly builder: string;
  readonly metadata: FlakeMetadata;
  readonly versions: Readonly<Record<string, string>>;
}

type Locked = NonNullable<FlakeMetadata['locked']>;

/** In DSSE’s envelope, signed as the manifest is. */
export async function provenanceOf(
  { builder, metadata, versions }: ProvenanceSource,
  { manifest, digest }: { readonly manifest: Manifest; readonly digest: string },
  signer: Signer,
): Promise<string> {
  const { host, system, content, sequence, derivation } = manifest;
  const payload = Buffer.from(
    encodeProvenance({
      host,
      manifestDigest: digest,
      parameters: { host, system, content, sequence: String(sequence), derivation },
      dependencies: dependenciesOf(metadata),
      builder,
      versions,
    }),
  );
  const sig = await signer.sign(preAuthenticationEncoding(payload, provenanceType));
  const envelope = unsignedEnvelope(payload, provenanceType);
  return addToEnvelope(envelope, { keyid: signer.name, sig }, 'provenance-malformed');
}

/** The flake, and what its lock file pins. */
function dependenciesOf({ url, locked, revision, locks }: FlakeMetadata): Dependency[] {
  const flake = {
    uri: withoutCredentials(url ?? 'unknown'),
    digest: digestsOf({ ...locked, rev: locked?.rev ?? revision }),
    name: 'flake',
  };
  const inputs = Object.entries(locks?.nodes ?? {}).flatMap(([name, node]): Dependency[] =>
    node.locked === undefined
      ? []
      : [{ uri: withoutCredentials(uriOf(node.locked)), digest: digestsOf(node.locked), name }],
  );
  return [flake, ...inputs];
}

function digestsOf({ rev, narHash }: Partial<Locked>): Record<string, string> {
  return {
    ...(rev === undefined ? {} : { gitCommit: rev }),
    ...(narHash === undefined ? {} : { narHash }),
  };
}

/**
 * Threat: a token in a URL (`git+https://user:token@host/…`, `?access_token=…`) goes out with every bundle, and is signed on top. A name
 * alone is SSH’s way of saying who asks, and no secret there.
 */
function withoutCredentials(uri: string): string {
  const [, scheme = '', user = '', rest = uri] = /^([a-z0-9+.-]+:\/\/)([^/?#]*@)?(.*)$/is.exec(uri) ?? [];
  const isName = /^[^:]*@$/.test(user) && /ssh:/i.test(scheme);
  const asked = rest.replace(/([?&][^=&#]*(?:token|password|secret)[^=&#]*=)[^&#]*/gi, '$1');
  return `${scheme}${isName ? user : ''}${asked}`;
}

/** As flake references are written (nix3-flake(1)). */
function uriOf({ type, owner, repo, rev, url, path }: Locked & LockedInput): string {
  if (owner !== undefined && repo !== undefined)
    return [`${type}:${owner}`, repo, ...(rev ? [rev] : [])].join('/');
  if (url !== undefined)
    return type === 'tarball' || type === 'file' ? url : `${type}+${url}${rev ? `?rev=${rev}` : ''}`;
  return `${type}:${path ?? ''}`;
}

type LockedInput = NonNullable<NonNullable<NonNullable<FlakeMetadata['locks']>['nodes'][string]>['locked']>;
