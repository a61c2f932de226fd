/** Every limit in one place. Sizes in bytes, times in milliseconds. */
export const limits = {
  /** DESIGN §3. */
  manifestBytes: 8 * 1024 * 1024,
  signatureFileBytes: 64 * 1024,
  /** Paths of one closure; a large desktop has some 6,000. */
  paths: 100_000,
  references: 10_000,
  narinfoBytes: 1024 * 1024,
  notesCharacters: 16 * 1024,
  /** A ustar header holds 11 octal digits: one byte under 8 GiB. */
  memberBytes: 8 * 1024 ** 3 - 1,
  /** Of a NAR that is restored from a delta, and of what it is restored from: both are held in memory. */
  deltaNarBytes: 128 * 1024 * 1024,
  /** A request holds a manifest and its signatures in base64. */
  requestBytes: 12 * 1024 * 1024,
  policyBytes: 1024 * 1024,
  /** A keyring of 64 keys, signed by as many. */
  keyringBytes: 256 * 1024,
  /** A receipt with the list of a large system’s store paths. */
  receiptBytes: 16 * 1024 * 1024,
  settingsBytes: 64 * 1024,
  /** The oldest Nix whose command line nixmaker speaks: major, minor. */
  oldestNix: [2, 24],
  /** Lines of what Nix or switch-to-configuration says, kept for a report. */
  outputLines: 200,
  outputLineCharacters: 2000,
} as const;
