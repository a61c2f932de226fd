/** Merges `manifest.sig` files from several places. */
import { parseSignatureFile } from '../../signing/signature-file.ts';

/**
 * Everybody’s lines, only the first per key. Empty files contribute none.
 * @throws NixmakerError `signature-malformed`, also if there are too many in total
 */
export function mergeSignatures(files: readonly Uint8Array[]): Buffer {
  const lines = new Map<string, string>();
  for (const file of files) {
    if (file.length === 0) continue;
    for (const { keyName, bytes } of parseSignatureFile(file))
      if (!lines.has(keyName)) lines.set(keyName, `${keyName}:${bytes.toString('base64')}\n`);
  }
  const merged = Buffer.from([...lines.values()].join(''));
  if (merged.length > 0) parseSignatureFile(merged);
  return merged;
}
