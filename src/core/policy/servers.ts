/** Servers a pool is fetched from (docs/policy.md, “Servers”). */
import { absolutePath } from '../schema.ts';
import * as z from '../zod.ts';

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
export const serverUrl = z.string().check(
  z.maxLength(2048),
  z.refine(
    (text) => isOf(text, ['http:', 'https:']),
    'is not an http or https URL without a user, a query or a fragment',
  ),
);

export const serverSchema = z
  .strictObject({
    url: serverUrl,
    /** Certificates, as PEM, that may have signed the server’s own; the system’s, if unset. */
    caFile: z.optional(absolutePath),
    /** This machine’s certificate and its key, as PEM. */
    certificateFile: z.optional(absolutePath),
    keyFile: z.optional(absolutePath),
    /** Instead of the one in HTTP_PROXY or HTTPS_PROXY, and whatever NO_PROXY says. */
    proxy: z.optional(
      z.string().check(
        z.maxLength(2048),
        z.refine((text) => isOf(text, ['http:']), 'is not an http URL without a user'),
      ),
    ),
    /** The most that is read, on average. */
    bytesPerSecond: z.optional(z.int().check(z.gte(4096))),
  })
  .check(
    z.refine((s) => (s.certificateFile === undefined) === (s.keyFile === undefined), {
      path: ['keyFile'],
      message: 'and certificateFile belong together',
    }),
  );

export type ServerSettings = z.infer<typeof serverSchema>;
