/** Small zod parts shared by the manifest, the policy and the settings. */
import { type DrvPath, parseDrvPath, parseStorePath, type StorePath } from './store-path.ts';
import * as z from './zod.ts';

/** A host is a folder's and a file's name on every carrier, FAT included. */
const hostPattern = /^[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9_-])?$/;

export function isHostName(text: string): boolean {
  return hostPattern.test(text);
}

export const hostName = z.string().check(z.regex(hostPattern, 'is not a valid host name'));

/** Nix's system doubles and their kin: `x86_64-linux`. */
export const systemName = z
  .string()
  .check(z.regex(/^[a-z0-9_]{1,32}-[a-z0-9_]{1,32}$/, 'is not a Nix system type'));

/** machine-id(5): 32 lower-case hexadecimal digits. */
export const machineId = z
  .string()
  .check(z.regex(/^[0-9a-f]{32}$/, 'is not a machine id (32 hexadecimal digits)'));

/** RFC 3339 in UTC, whole seconds: one spelling for one instant, so that manifests are reproducible. */
export const timestamp = z.iso
  .datetime({ precision: 0 })
  .check(z.refine((text) => text.endsWith('Z') && Number.isFinite(Date.parse(text)), 'is not a UTC time'));

export const absolutePath = z
  .string()
  .check(z.maxLength(4096), z.regex(/^\/[^\0]*$/, 'is not an absolute path'));

/**
 * A path in a file that a person writes, in the form of the kernel’s tables: `/run/media/` or `/a/../b` would match no mount, and nothing
 * would say so.
 */
export const configuredPath = absolutePath.check(
  z.overwrite((path) => {
    const names: string[] = [];
    for (const name of path.split('/'))
      if (name === '..') names.pop();
      else if (name !== '' && name !== '.') names.push(name);
    return `/${names.join('/')}`;
  }),
);

export const sequence = z.int().check(z.gte(1), z.lte(Number.MAX_SAFE_INTEGER));

export const operations = ['switch', 'boot', 'test', 'dry-activate'] as const;
export const operation = z.enum(operations);
export type Operation = z.infer<typeof operation>;

/** Whether it is meant to last: the profile and the menu follow, unlike for `test` and `dry-activate`. */
export const isLasting = (operation: unknown): boolean => operation === 'switch' || operation === 'boot';

/** @param read undefined for what is none */
const readAs = <T>(read: (text: string) => T | undefined, refusal: string) =>
  z.pipe(
    z.string(),
    z.transform((text: string, context): T => {
      const found = read(text);
      if (found === undefined) context.issues.push({ code: 'custom', input: text, message: refusal });
      return found as T;
    }),
  );

export const storePath = readAs<StorePath>(parseStorePath, 'is not a store path');
export const drvPath = readAs<DrvPath>(parseDrvPath, 'is not a derivation path');

/** `key.0.path: message`, the first few issues of a failed parse. */
export function describeIssues(error: z.core.$ZodError): string {
  return error.issues
    .slice(0, 3)
    .map((issue) => {
      const where = issue.path.length > 0 ? `${issue.path.map(String).join('.')}: ` : '';
      return `${where}${issue.message}`;
    })
    .join('; ');
}
