/**
 * Strict base64 (RFC 4648 §4, padded). `Buffer.from(text, 'base64')` accepts `AA!!AA==`, missing padding and stray
 * bits, so two spellings could stand for one signature; here exactly one does.
 */
export function decodeBase64(text: string, bytes: number): Buffer | undefined {
  const decoded = decodeBase64OfAnyLength(text, bytes);
  return decoded?.length === bytes ? decoded : undefined;
}

/** Just as strict; at least one byte, and at most so many. */
export function decodeBase64OfAnyLength(text: string, most: number): Buffer | undefined {
  if (text.length === 0 || text.length > 4 * Math.ceil(most / 3)) return undefined;
  const decoded = Buffer.from(text, 'base64');
  return decoded.length <= most && decoded.toString('base64') === text ? decoded : undefined;
}
