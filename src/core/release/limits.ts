/** Limits of format 2. Sizes in bytes. Each is checked before anything of that size is allocated. */
export const releaseLimits = {
  manifestBytes: 64 * 1024,
  notesCharacters: 16 * 1024,
  /** A large desktop has some 6,000 outputs; its recipes are some 25,000. */
  lines: 200_000,
  references: 4_000_000,
  indexBytes: 64 * 1024 * 1024,
  contentsBytes: 64 * 1024 * 1024,
  /** Of one path several ways to have it: whole, and as differences to several bases. */
  piecesOfALine: 16,
  /** A compressed NAR may be that much larger than the NAR: zstd’s own bound is 1/255 and a few bytes (ZSTD_compressBound). */
  pieceSlack: 1024 * 1024,
} as const;
