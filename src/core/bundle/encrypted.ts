/** How to recognise an encrypted bundle: the first line of an age file (age-encryption.org/v1). */

export const encryptedMagic = 'age-encryption.org/v1\n';
export const encryptedExtension = '.tar.age';

export const isEncrypted = (bytes: Uint8Array): boolean =>
  bytes.length >= encryptedMagic.length && [...encryptedMagic].every((c, i) => bytes[i] === c.charCodeAt(0));

/** Keys in a file as `age` reads it: one per line, ignoring empty lines and comments. */
export const keyLines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
