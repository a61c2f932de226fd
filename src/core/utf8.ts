/**
 * Text from bytes that somebody has signed. Threat: a decoder that puts U+FFFD where it understands nothing makes one text of many byte
 * strings, so what is trusted is not what was signed.
 */
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Undefined if the bytes are not UTF-8. A byte order mark stays, as a character. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}
