/** Every limit in one place. Sizes in bytes, times in milliseconds. */
export const limits = {
  manifestBytes: 64 * 1024,
  signatureFileBytes: 64 * 1024,
  /** Different signatures on one manifest. */
  signaturesOfAKey: 16,
  /** Lines in an index. A large desktop has some 6,000 outputs, and some 25,000 recipes. */
  lines: 200_000,
  references: 4_000_000,
  /** A line that refers to all others takes some 1.4 MB. */
  lineBytes: 2 * 1024 * 1024,
  indexBytes: 64 * 1024 * 1024,
  contentsBytes: 64 * 1024 * 1024,
  /** Three keys per line of the largest index. */
  nixSignatureBytes: 64 * 1024 * 1024,
  /** The most read into memory in one go from any file written by others: the largest of the above, with padding. */
  readAtOnce: 64 * 1024 * 1024 + 512,
  /** Ways to obtain one path: whole, and as deltas to several bases. */
  piecesOfALine: 16,
  /** A compressed NAR may be this much larger than the NAR: zstd’s own bound is 1/255 and a few bytes (ZSTD_compressBound). */
  pieceSlack: 1024 * 1024,
  /** `[line,"delta",size,digest,base,baseNarHash]`, each at its longest: 6, 16 and 52 digits, a name of 244 characters, 52. */
  contentsLineBytes: 420,
  /** For an age file. A recipient takes some 4 ms without a compiler; X25519’s are about 120 bytes, post-quantum ones 1.6 KB. */
  ageRecipients: 64,
  ageHeaderBytes: 128 * 1024,
  /** The two lines of `meta`. */
  metaBytes: 1024,
  narinfoBytes: 1024 * 1024,
  notesCharacters: 16 * 1024,
  /** For a NAR restored from a delta, and for what it is restored from: both are in memory. */
  deltaNarBytes: 128 * 1024 * 1024,
  /** Not counting what comes with a request as separate files. */
  requestBytes: 4 * 1024 * 1024,
  /** What the agent reports about its progress. */
  progressBytes: 4096,
  /** What root tells and asks whoever sits at the screen, and their answer. */
  screenFileBytes: 8192,
  /** What the agent reports as waiting: a hundred paths with what is wrong, four bytes per character. */
  waitsBytes: 4 * 1024 * 1024,
  /** What the agent notes about a release on several media. */
  partsBytes: 16 * 1024,
  /** Secret keys for encrypted bundles. */
  identityBytes: 64 * 1024,
  /** The newest part of the agent’s journal; root reads no more than this. */
  agentJournalBytes: 64 * 1024 * 1024,
  /** Beyond this a journal is compacted, before the next run. */
  journalBytes: 1024 * 1024,
  /** History kept then, besides what is needed; and runs. */
  journalHistoryBytes: 512 * 1024,
  journalRuns: 500,
  /** A longer line is damage, and skipped. */
  journalLineBytes: 1024 * 1024,
  /** Receipts on disk; beyond that, those for runs no longer in the journal are deleted. */
  receipts: 1000,
  policyBytes: 1024 * 1024,
  /** A keyring of 64 keys, signed by as many. */
  keyringBytes: 256 * 1024,
  /** A table of 10,000 hosts, in base 64. */
  hostsBytes: 8 * 1024 * 1024,
  /** A receipt with a very large system’s list of store paths: 30 bytes each for 140,000, in base 64 twice. */
  receiptBytes: 8 * 1024 * 1024,
  /** Per host, at the desk: as many as wait in a machine’s outbox. */
  receiptsKept: 64,
  receiptsKeptBytes: 32 * 1024 * 1024,
  /** Advisories brought to the desk from outside. */
  advisoryBytes: 64 * 1024 * 1024,
  settingsBytes: 64 * 1024,
  /** The oldest Nix whose command line nixmaker can use: major, minor. */
  oldestNix: [2, 24],
  /** Lines of Nix’s or switch-to-configuration’s output kept for a report. */
  outputLines: 200,
  outputLineCharacters: 2000,
} as const;
