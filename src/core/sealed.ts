/** How an encrypted bundle is told from others: the first line of an age file (age-encryption.org/v1). */

export const sealedMagic = 'age-encryption.org/v1\n';
export const sealedExtension = '.tar.age';

export const isSealed = (bytes: Uint8Array): boolean =>
  bytes.length >= sealedMagic.length && [...sealedMagic].every((c, i) => bytes[i] === c.charCodeAt(0));
