/** Parts of a manifest, read at a fraction of the cost of the whole: a medium can hold a thousand. None of it is checked. */
import * as z from 'zod';
import { NixmakerError } from '../errors.ts';
import { describeIssues } from '../schema.ts';
import { jsonOf, type Manifest, type Member, manifestShape, refuseNewerSchema } from './manifest.ts';

const glance = manifestShape.pick({ schema: true, host: true, sequence: true, createdAt: true }).strip();

/** Bytes from a manifest’s beginning that hold all that a glance shows: names and times have an end. */
export const glanceBytes = 4096;

/**
 * The few fields that a list shows, of the beginning of a manifest: a medium can hold a thousand manifests, of megabytes each.
 * Nothing else of it is looked at, so nothing may be done with it but showing it.
 * @param beginning as many characters as there are, up to `glanceBytes`
 * @throws NixmakerError `schema-unsupported`, `manifest-malformed`
 */
export function glanceAtManifest(beginning: string): Pick<Manifest, 'host' | 'sequence' | 'createdAt'> {
  refuseNewerSchema({ schema: Number(/^\{"schema":([0-9]{1,15})[,}]/.exec(beginning)?.[1]) });
  // What follows the canonical form’s small fields; in a text a quotation mark has a backslash before it.
  const end = beginning.indexOf(',"content":');
  const seen = glance.safeParse(jsonOf(`${beginning.slice(0, Math.max(end, 0))}}`));
  if (!seen.success) throw new NixmakerError('manifest-malformed', describeIssues(seen.error));
  const { host, sequence: number, createdAt } = seen.data;
  return { host, sequence: number, createdAt };
}

const listed = z.looseObject({
  schema: manifestShape.shape.schema,
  members: z.array(z.looseObject({ name: z.string(), sha256: z.string() })),
});

export type NamedMember = Pick<Member, 'name' | 'sha256'>;

/**
 * What a manifest names, at a fifth of the cost of `parseManifest`: enough to keep what it needs, and to leave
 * alone what it may need.
 * @throws NixmakerError `schema-unsupported`, `manifest-malformed`
 */
export function listMembers(text: string): readonly NamedMember[] {
  const json = jsonOf(text);
  refuseNewerSchema(json);
  const seen = listed.safeParse(json);
  if (!seen.success) throw new NixmakerError('manifest-malformed', describeIssues(seen.error));
  return seen.data.members;
}
