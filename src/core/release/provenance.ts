/**
 * Where a release comes from, as an in-toto statement (https://in-toto.io/Statement/v1) with SLSA’s provenance (v1) about the manifest: which
 * flake, with which locked inputs, built by whom. In DSSE’s envelope, signed by the key that signs the manifest.
 */
import { NixmakerError } from '../errors.ts';
import * as z from '../zod.ts';

export const provenanceType = 'application/vnd.in-toto+json';

const digests = z.record(z.string().check(z.maxLength(64)), z.string().check(z.maxLength(256)));
const dependency = z.strictObject({
  uri: z.string().check(z.maxLength(4096)),
  digest: digests,
  name: z.optional(z.string().check(z.maxLength(256))),
});

const statement = z.strictObject({
  _type: z.literal('https://in-toto.io/Statement/v1'),
  subject: z
    .array(z.strictObject({ name: z.string().check(z.maxLength(256)), digest: digests }))
    .check(z.minLength(1), z.maxLength(16)),
  predicateType: z.literal('https://slsa.dev/provenance/v1'),
  predicate: z.strictObject({
    buildDefinition: z.strictObject({
      buildType: z.string().check(z.maxLength(4096)),
      externalParameters: z.record(z.string().check(z.maxLength(64)), z.string().check(z.maxLength(4096))),
      resolvedDependencies: z.array(dependency).check(z.maxLength(10_000)),
    }),
    runDetails: z.strictObject({
      builder: z.strictObject({
        id: z.string().check(z.maxLength(4096)),
        version: z.record(z.string().check(z.maxLength(64)), z.string().check(z.maxLength(128))),
      }),
    }),
  }),
});

export type Provenance = z.infer<typeof statement>;
export type Dependency = z.infer<typeof dependency>;

/** What a release of ours is built by; the text says where the meaning of the parameters is documented. */
export const buildType = 'urn:nixmaker:build:v1';

export interface Origin {
  readonly host: string;
  /** The manifest’s, sha256 in hexadecimal. */
  readonly manifestDigest: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** The flake first, then its inputs. */
  readonly dependencies: readonly Dependency[];
  /** Who built it, in the operator’s words or by the machine’s name. */
  readonly builder: string;
  readonly versions: Readonly<Record<string, string>>;
}

/** The bytes that are signed. */
export function encodeProvenance(origin: Origin): string {
  const { host, manifestDigest, parameters, dependencies, builder, versions } = origin;
  const value: Provenance = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: `${host}/manifest.json`, digest: { sha256: manifestDigest } }],
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType,
        externalParameters: { ...parameters },
        resolvedDependencies: [...dependencies],
      },
      runDetails: { builder: { id: builder, version: { ...versions } } },
    },
  };
  return `${JSON.stringify(statement.parse(value))}\n`;
}

/** @throws NixmakerError `provenance-malformed` */
export function parseProvenance(text: string): Provenance {
  try {
    return statement.parse(JSON.parse(text));
  } catch (cause) {
    throw new NixmakerError('provenance-malformed', 'it is not a provenance statement', { cause });
  }
}
