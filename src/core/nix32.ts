/** Nix's base-32 spelling of bytes (Nix src/libutil/base-nix-32.cc): 5 bits a digit, most significant first, from the end. */
import { nix32 } from './store-path.ts';

export function encodeNix32(bytes: Uint8Array): string {
  const length = Math.ceil((bytes.length * 8) / 5);
  let text = '';
  for (let n = length - 1; n >= 0; n--) {
    const bit = n * 5;
    const byte = bit >> 3;
    const shift = bit & 7;
    // Nothing is set beyond the last byte.
    const pair = (bytes[byte] as number) | ((bytes[byte + 1] ?? 0) << 8);
    text += nix32[(pair >> shift) & 31];
  }
  return text;
}

/** The bytes, or undefined if `text` is not the one spelling of `length` bytes. */
export function decodeNix32(text: string, length: number): Uint8Array | undefined {
  if (text.length !== Math.ceil((length * 8) / 5)) return undefined;
  const bytes = new Uint8Array(length);
  for (let n = 0; n < text.length; n++) {
    const digit = nix32.indexOf(text[text.length - n - 1] as string);
    if (digit < 0) return undefined;
    const bit = n * 5;
    const byte = bit >> 3;
    const shift = bit & 7;
    // A byte array drops the bits beyond a byte.
    bytes[byte] = (bytes[byte] as number) | (digit << shift);
    const carry = digit >> (8 - shift);
    if (byte + 1 < length) bytes[byte + 1] = carry;
    else if (carry !== 0) return undefined;
  }
  return bytes;
}
