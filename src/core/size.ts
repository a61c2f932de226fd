/** Sizes for people: one unit within everything a command says. What programs read, and what is compared byte by byte, is in bytes. */
import prettyBytes from 'pretty-bytes';

/** `25.5 KiB`: three digits, powers of 1024. */
export const sizeText = (bytes: number): string => prettyBytes(bytes, { binary: true });

/** Two sizes, one of which is too large: in bytes if they would otherwise read the same. */
export function unlikeSizes(one: number, other: number): readonly [string, string] {
  const texts = [sizeText(one), sizeText(other)] as const;
  return one === other || texts[0] !== texts[1] ? texts : [`${one} bytes`, `${other} bytes`];
}

/** `1.2 GiB of 3.4 GiB are here`. @param whole undefined if not known yet */
export function arrivedText(bytes: number, whole: number | undefined): string {
  if (whole === undefined) return `${sizeText(bytes)} are here`;
  const [there, all] = unlikeSizes(bytes, whole);
  return `${there} of ${all} are here`;
}
