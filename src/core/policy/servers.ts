/** Servers a pool is fetched from (docs/policy.md, “Servers”). */
import * as z from 'zod';
import { absolutePath } from '../schema.ts';

/** Credentials in a URL would end up in logs. */
const isPlain = ({ username, password, search, hash }: URL) =>
  `${username}${password}${search}${hash}` === '';

function parsed(text: string): URL | undefined {
  const url = URL.parse(text) ?? undefined;
  return url !== undefined && isPlain(url) ? url : undefined;
}

const isOf = (text: string, protocols: readonly string[]) =>
  protocols.includes(parsed(text)?.protocol ?? 'none');

/** Where `nixmaker/` is on the server: `https://updates.example/fleet`. */
export const serverUrl = z
  .string()
  .max(2048)
  .refine(
    (text) => isOf(text, ['http:', 'https:']),
    'is not an http or https URL without a user, a query or a fragment',
  );

export const serverSchema = z
  .strictObject({
    url: serverUrl,
    /** Certificates, as PEM, that may have signed the server’s own; the system’s, if unset. */
    caFile: absolutePath.optional(),
    /** This machine’s certificate and its key, as PEM. */
    certificateFile: absolutePath.optional(),
    keyFile: absolutePath.optional(),
    /** Instead of the one in HTTP_PROXY or HTTPS_PROXY, and whatever NO_PROXY says. */
    proxy: z
      .string()
      .max(2048)
      .refine((text) => isOf(text, ['http:']), 'is not an http URL without a user')
      .optional(),
    /** The most that is read, on average. */
    bytesPerSecond: z.number().int().min(4096).optional(),
  })
  .refine((s) => (s.certificateFile === undefined) === (s.keyFile === undefined), {
    path: ['keyFile'],
    message: 'and certificateFile belong together',
  });

export type ServerSettings = z.infer<typeof serverSchema>;
