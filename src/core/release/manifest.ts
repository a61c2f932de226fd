/**
 * The manifest of format 2: what a release is. How it travels (compressed digests, deltas, what is left out) is not signed, so a
 * release has one manifest, whether it travels whole, as a delta, split over media, or passed on.
 *
 * Parsing happens only after the signature has been verified over the raw bytes (signing/). The text must be in the one canonical
 * form that `encodeManifest` writes. That one rule refuses duplicate keys, numbers beyond 2^53, `-0`, `1e3`, alternative
 * escapes and `__proto__`, all of which JSON.parse would accept silently, and makes “the same manifest” and “the same bytes”
 * one thing.
 */
import { NixmakerError } from '../errors.ts';
import { limits } from '../limits.ts';
import {
  describeIssues,
  drvPath,
  hostName,
  machineId,
  sequence,
  storePath,
  systemName,
  timestamp,
} from '../schema.ts';
import type { StorePath } from '../store-path.ts';
import * as z from '../zod.ts';

export const manifestSchemaVersion = 2;

const count = z.int().check(z.gte(0), z.lte(Number.MAX_SAFE_INTEGER));
const sha256Hex = z.string().check(z.regex(/^[0-9a-f]{64}$/, 'is not a sha256 in hexadecimal'));

/** A file that is signed through its size and digest. */
const signedFile = z.strictObject({ size: count, sha256: sha256Hex });

/** Text for people: no control characters except newlines, so that it can't repaint a terminal or forge a log line. */
const plainText = (max: number, min = 0) =>
  z.string().check(
    z.minLength(min),
    z.maxLength(max),
    z.refine(
      (text) =>
        !/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/.test(
          text,
        ) && text.isWellFormed(),
      'contains control characters',
    ),
  );

export const notesText = plainText(limits.notesCharacters);

export const noWayBackText = plainText(1000, 1);

const totals = z.strictObject({
  /** Lines of the index. */
  paths: count.check(z.gte(1), z.lte(limits.lines)),
  /** Nodes of all NARs: files, folders and links. An inode each. */
  files: count,
  /** Blocks of 4096 bytes: regular files rounded up, and one per folder. */
  blocks: count,
  narBytes: count,
  /** Bytes of the largest NAR. */
  largestNar: count,
});

const manifestShape = z.strictObject({
  schema: z.literal(manifestSchemaVersion),
  host: hostName,
  system: systemName,
  sequence,
  createdAt: timestamp,
  expiresAt: z.optional(timestamp),
  machineId: z.optional(machineId),
  /** The signer wants a machine whose newest is exactly this to take it although it is lower. */
  downgradeFrom: z.optional(sequence),
  /**
   * Why a machine that has run it must not go back automatically: its services change their data so that older ones can’t read it. For
   * people.
   */
  noWayBack: z.optional(noWayBackText),
  content: z.enum(['closure', 'derivation']),
  derivation: drvPath,
  toplevel: storePath,
  totals,
  index: z.extend(signedFile, { size: count.check(z.gte(1), z.lte(limits.indexBytes)) }),
  /** For the classic pair only. */
  tarball: z.optional(signedFile),
  notes: z.optional(notesText),
  flake: z.optional(
    z.strictObject({ description: z.optional(plainText(1000)), revision: z.optional(plainText(200)) }),
  ),
});

const manifestSchema = manifestShape.check(
  z.refine((m) => m.downgradeFrom === undefined || m.downgradeFrom > m.sequence, {
    path: ['downgradeFrom'],
    message: 'is not above the sequence',
  }),
  z.refine((m) => m.totals.largestNar <= m.totals.narBytes && m.totals.files >= m.totals.paths, {
    path: ['totals'],
    message: 'cannot be combined',
  }),
);

export type Manifest = z.infer<typeof manifestSchema>;
export type ReleaseTotals = Manifest['totals'];
export type SignedFile = Manifest['index'];

export type Content = Manifest['content'];

/** How a release is stored on disk. */
export type Format = 'bundle' | 'classic';

export const formatOf = ({ tarball }: Pick<Manifest, 'tarball'>): Format =>
  tarball === undefined ? 'bundle' : 'classic';

/** The two lines of `meta`: derivation path, output path, as the original tool wrote them. */
export const metaText = ({ derivation, toplevel }: Pick<Manifest, 'derivation' | 'toplevel'>): string =>
  `${derivation}\n${toplevel}\n`;

/** The fields of a manifest: what goes into the file. */
export type ManifestInput = z.input<typeof manifestSchema>;

/** The path at the end of the index: what is imported. */
export const rootOf = ({
  content,
  derivation,
  toplevel,
}: Pick<Manifest, 'content' | 'derivation' | 'toplevel'>): StorePath =>
  content === 'closure' ? toplevel : derivation;

function ordered<T extends object>(keys: readonly string[], value: T): T {
  const fields: Record<string, unknown> = {};
  for (const key of keys) {
    const field = (value as Record<string, unknown>)[key];
    if (field !== undefined) fields[key] = field;
  }
  return fields as T;
}

const keysOf = (shape: { readonly shape: object }) => Object.keys(shape.shape);
const fieldOrder = keysOf(manifestShape);
const totalsOrder = keysOf(totals);
const fileOrder = keysOf(signedFile);
const flakeOrder = ['description', 'revision'];

/** The canonical text: fields in schema order, no white space, one newline at the end. */
export function encodeManifest(input: ManifestInput): string {
  const { tarball, flake } = input;
  const fields = {
    ...input,
    totals: ordered(totalsOrder, input.totals),
    index: ordered(fileOrder, input.index),
    tarball: tarball === undefined ? undefined : ordered(fileOrder, tarball),
    flake: flake === undefined ? undefined : ordered(flakeOrder, flake),
  };
  return `${JSON.stringify(ordered(fieldOrder, fields))}\n`;
}

/**
 * Reads a manifest's text. Call it on verified bytes only, or to show an unverified bundle to a person.
 * @throws NixmakerError `schema-unsupported`, `manifest-malformed`
 */
export function parseManifest(text: string): Manifest {
  if (text.length > limits.manifestBytes)
    throw new NixmakerError('manifest-malformed', `it exceeds ${limits.manifestBytes} bytes`);
  const json = jsonOf(text);
  refuseOtherSchema(json);
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) throw new NixmakerError('manifest-malformed', describeIssues(parsed.error));
  // Its shape was checked, so it can be written; anything else was refused.
  if (encodeManifest(json as ManifestInput) !== text)
    throw new NixmakerError('manifest-malformed', 'it is not in canonical form');
  return parsed.data;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new NixmakerError('manifest-malformed', 'it is not JSON', { cause });
  }
}

function refuseOtherSchema(json: unknown): void {
  if (typeof json !== 'object' || json === null || !('schema' in json)) return;
  const { schema } = json;
  if (!Number.isSafeInteger(schema) || schema === manifestSchemaVersion) return;
  throw new NixmakerError(
    'schema-unsupported',
    `the bundle has schema ${String(schema)}; this nixmaker reads ${manifestSchemaVersion}`,
  );
}
