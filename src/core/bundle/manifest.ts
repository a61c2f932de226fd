/**
 * The manifest: the signed bytes of a bundle (DESIGN §3, docs/format.md).
 *
 * Parsing happens only after the signature has been verified over the raw bytes (signing/). The text must be in
 * the one canonical form that `encodeManifest` writes. That one rule refuses duplicate keys, numbers beyond 2^53,
 * `-0`, `1e3`, escapes of other spellings and `__proto__`, all of which JSON.parse would take in silence, and
 * makes "the same manifest" and "the same bytes" one thing.
 */
import * as z from 'zod';
import { NixmakerError } from '../errors.ts';
import { given } from '../given.ts';
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
import { fromBaseName, hashPart, nix32, type StorePath } from '../store-path.ts';

export const manifestSchemaVersion = 1;

/** `sha256:` and 52 base-32 characters, as narinfos spell it. */
export const narHash = z
  .string()
  .regex(new RegExp(`^sha256:[${nix32}]{52}$`), 'is not a sha256 in Nix’s base 32');
const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, 'is not a sha256 in hexadecimal');

const safeSize = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

const reference = z.string().transform((text, context): StorePath => {
  const path = fromBaseName(text);
  if (path === undefined)
    context.addIssue({ code: 'custom', message: 'is not the base name of a store path' });
  return path as StorePath;
});

const pathInfo = z.strictObject({
  path: storePath,
  narHash,
  narSize: safeSize,
  /** Base names, sorted, as in a narinfo. */
  references: z.array(reference).max(limits.references),
  deriver: z.string().max(300).optional(),
  ca: z.string().max(300).optional(),
});

const memberName = z
  .string()
  .max(100)
  .regex(
    new RegExp(
      `^(?:meta|nix-cache-info|[${nix32}]{32}\\.narinfo|nar/[${nix32}]{52}\\.nar\\.zst|delta/[${nix32}]{52}\\.zst|[A-Za-z0-9_][A-Za-z0-9._-]*\\.tar\\.gz)$`,
    ),
    'is no member of a bundle',
  );

const member = z.strictObject({
  name: memberName,
  size: safeSize.max(limits.memberBytes),
  sha256: sha256Hex,
});

const delta = z.strictObject({
  path: storePath,
  /** A path of the base that the target has, and what it must hold: the same path can be built to other contents. */
  base: storePath,
  baseHash: narHash,
  /** A zstd frame that gives the path’s NAR where the base’s NAR is its dictionary. */
  member: memberName,
});

/** Text for people: no control characters but newlines, so that it can't repaint a terminal or forge a log line. */
const plainText = (max: number) =>
  z
    .string()
    .max(max)
    .refine(
      (text) =>
        !/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/.test(text),
      'holds control characters',
    );

export const manifestShape = z.strictObject({
  schema: z.literal(manifestSchemaVersion),
  host: hostName,
  system: systemName,
  sequence,
  createdAt: timestamp,
  expiresAt: timestamp.optional(),
  machineId: machineId.optional(),
  /** Whoever signed wants it taken although it is lower, by a machine whose newest is exactly this. */
  downgradeFrom: sequence.optional(),
  content: z.enum(['closure', 'derivation']),
  derivation: drvPath,
  toplevel: storePath,
  base: z.array(storePath).max(64),
  /** Paths that are restored from what the target has. */
  deltas: z.array(delta).max(limits.paths).optional(),
  paths: z.array(pathInfo).max(limits.paths),
  members: z.array(member).max(2 * limits.paths + 2),
  notes: plainText(limits.notesCharacters).optional(),
  flake: z
    .strictObject({ description: plainText(1000).optional(), revision: plainText(200).optional() })
    .optional(),
});

const manifestSchema = manifestShape.refine(
  (m) => m.downgradeFrom === undefined || m.downgradeFrom > m.sequence,
  {
    path: ['downgradeFrom'],
    message: 'is not above the sequence',
  },
);

export type Manifest = z.infer<typeof manifestSchema>;
export type PathInfo = Manifest['paths'][number];
export type Member = Manifest['members'][number];
export type Delta = z.infer<typeof delta>;
export type Content = Manifest['content'];

/** The fields of a manifest in their canonical order, references in base names: what goes into the file. */
export type ManifestInput = z.input<typeof manifestSchema>;

const fieldOrder = Object.keys(manifestShape.shape) as (keyof ManifestInput)[];
const order = <T extends object>(keys: readonly (keyof T & string)[], value: T): T =>
  Object.fromEntries(keys.filter((k) => value[k] !== undefined).map((k) => [k, value[k]])) as T;

/** The canonical text: fields in schema order, no white space, one newline at the end. */
export function encodeManifest(input: ManifestInput): string {
  const ordered = order(fieldOrder, {
    ...input,
    paths: input.paths.map((p) => order(['path', 'narHash', 'narSize', 'references', 'deriver', 'ca'], p)),
    members: input.members.map((m) => order(['name', 'size', 'sha256'], m)),
    ...given({
      deltas: input.deltas?.map((d) => order(['path', 'base', 'baseHash', 'member'], d)),
      flake: input.flake === undefined ? undefined : order(['description', 'revision'], input.flake),
    }),
  });
  return `${JSON.stringify(ordered)}\n`;
}

/**
 * Reads a manifest's text. Call it on verified bytes only, or to show an unverified bundle to a person.
 * @throws NixmakerError `schema-unsupported`, `manifest-malformed` or `closure-incomplete`.
 */
export function parseManifest(text: string): Manifest {
  const json = jsonOf(text);
  refuseNewerSchema(json);
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) throw new NixmakerError('manifest-malformed', describeIssues(parsed.error));
  if (canonical(json) !== text) {
    throw new NixmakerError('manifest-malformed', 'it is not in canonical form');
  }
  checkPaths(parsed.data);
  return parsed.data;
}

/** @throws NixmakerError `manifest-malformed` */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new NixmakerError('manifest-malformed', 'it is not JSON', { cause });
  }
}

function canonical(json: unknown): string | undefined {
  try {
    return encodeManifest(json as ManifestInput);
  } catch {
    // Nesting deeper than the stack; no manifest is.
    return undefined;
  }
}

/** @throws NixmakerError `schema-unsupported` */
export function refuseNewerSchema(json: unknown): void {
  if (typeof json !== 'object' || json === null || !('schema' in json)) return;
  const { schema } = json;
  if (typeof schema === 'number' && Number.isSafeInteger(schema) && schema > manifestSchemaVersion) {
    throw new NixmakerError(
      'schema-unsupported',
      `the bundle has schema ${schema}, this nixmaker reads ${manifestSchemaVersion}`,
    );
  }
}

function checkPaths(manifest: Manifest): void {
  const known = new Set<string>();
  let previous = '';
  for (const { path } of manifest.paths) {
    if (path <= previous)
      throw new NixmakerError('manifest-malformed', `paths: ${path} is out of order or listed twice`);
    previous = path;
    known.add(path);
  }
  for (const { path, references } of manifest.paths) {
    const missing = references.find((r) => !known.has(r));
    if (missing !== undefined)
      throw new NixmakerError('closure-incomplete', `${path} refers to ${missing}, which is not listed`);
  }
  const root = manifest.content === 'closure' ? manifest.toplevel : manifest.derivation;
  if (!known.has(root)) throw new NixmakerError('closure-incomplete', `${root} itself is not listed`);
  checkDeltas(manifest);
}

function checkDeltas({ base, deltas = [], paths, members }: Manifest): void {
  const sizes = new Map(paths.map(({ path, narSize }) => [path, narSize]));
  const names = new Set(members.map((m) => m.name));
  let previous = '';
  for (const delta of deltas) {
    const size = sizes.get(delta.path);
    const isGood =
      base.length > 0 &&
      delta.path > previous &&
      delta.base !== delta.path &&
      size !== undefined &&
      size <= limits.deltaNarBytes &&
      delta.member.startsWith('delta/') &&
      names.has(delta.member);
    if (!isGood) throw new NixmakerError('manifest-malformed', `deltas: that of ${delta.path} is none`);
    previous = delta.path;
  }
}

/** Members that hold what is in paths: the large ones. */
export const isContents = (name: string): boolean => name.startsWith('nar/') || name.startsWith('delta/');

/** How a manifest's members lie on disk. */
export type Format = 'bundle' | 'classic';

/**
 * The format, told from the members, which must be exactly those of that format, in order:
 * classic: the tarball, then meta. bundle: meta, nix-cache-info, narinfos in the order of the paths, deltas and NARs, each
 * sorted. Where there is a base, narinfos may be left out.
 * @throws NixmakerError `manifest-malformed`
 */
export function formatOf(manifest: Manifest): Format {
  const names = manifest.members.map((m) => m.name);
  if (names.length === 2 && names[0] === `${manifest.host}.tar.gz` && names[1] === 'meta') return 'classic';
  const narinfos = manifest.paths.map((p) => `${hashPart(p.path)}.narinfo`);
  let at = 0;
  for (const name of ['meta', 'nix-cache-info', ...narinfos]) {
    if (names[at] === name) at += 1;
    else if (manifest.base.length === 0 || !name.endsWith('.narinfo'))
      throw new NixmakerError('manifest-malformed', `members: ${name} is not in its place`);
  }
  const contents = names.slice(at);
  contents.forEach((name, i) => {
    if (!isContents(name) || name <= (contents[i - 1] ?? '')) {
      throw new NixmakerError('manifest-malformed', `members: ${name} is not in its place`);
    }
  });
  return 'bundle';
}

/** The two lines of `meta`: derivation path, output path, as the original tool wrote them. */
export function metaText(manifest: Pick<Manifest, 'derivation' | 'toplevel'>): string {
  return `${manifest.derivation}\n${manifest.toplevel}\n`;
}
