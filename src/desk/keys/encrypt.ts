/** Encrypts signed bundles to the hosts that are to read them. */
import { encryptFile } from '../../bundle/encrypted.ts';
import { keyLines } from '../../core/bundle/encrypted.ts';
import { readText } from '../../files/read.ts';
import { openSignedBundle } from './signed-bundle.ts';

/** @param given recipients (`age1…`), or files that list them one per line */
export async function readRecipients(given: readonly string[]): Promise<string[]> {
  const lists = await Promise.all(
    given.map(async (text) => {
      if (text.startsWith('age1')) return [text];
      return keyLines(await readText(text, 'usage', `${text} is neither a recipient nor a file`));
    }),
  );
  return [...new Set(lists.flat())];
}

/** Writes `<bundle>.age` beside it. @returns its path @throws NixmakerError if it isn’t a signed bundle */
export async function encryptBundleFile(path: string, recipients: readonly string[]): Promise<string> {
  // Once encrypted, it can’t be signed.
  const { file } = await openSignedBundle(path);
  await file.close();
  const encrypted = `${path}.age`;
  await encryptFile(path, encrypted, recipients);
  return encrypted;
}
