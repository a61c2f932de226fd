/** Every limit in one place. Sizes in bytes, times in milliseconds. */
export const limits = {
  manifestBytes: 64 * 1024,
  signatureFileBytes: 64 * 1024,
  /** Different ones over one manifest. */
  signaturesOfAKey: 16,
  /** Of an index. A large desktop has some 6,000 outputs; its recipes are some 25,000. */
  lines: 200_000,
  references: 4_000_000,
  /** A line that refers to all others takes some 1.4 MB. */
  lineBytes: 2 * 1024 * 1024,
  indexBytes: 64 * 1024 * 1024,
  contentsBytes: 64 * 1024 * 1024,
  /** Three keys for each line of the largest index. */
  nixSignatureBytes: 64 * 1024 * 1024,
  /** Of any file that others wrote, the most that is read into memory in one go: the largest of the above, and its padding. */
  readAtOnce: 64 * 1024 * 1024 + 512,
  /** Of one path several ways to have it: whole, and as differences to several bases. */
  piecesOfALine: 16,
  /** A compressed NAR may be that much larger than the NAR: zstd’s own bound is 1/255 and a few bytes (ZSTD_compressBound). */
  pieceSlack: 1024 * 1024,
  /** `[line,"delta",size,digest,base,baseNarHash]` with the longest of each: 6, 16 and 52 digits, a name of 244 characters, 52. */
  contentsLineBytes: 420,
  /** Of an age file. A recipient takes some 4 ms where there is no compiler; X25519’s are about 120 bytes, after-quantum ones 1.6 KB. */
  ageRecipients: 64,
  ageHeaderBytes: 128 * 1024,
  /** The two lines of `meta`. */
  metaBytes: 1024,
  narinfoBytes: 1024 * 1024,
  notesCharacters: 16 * 1024,
  /** Of a NAR that is restored from a delta, and of what it is restored from: both are held in memory. */
  deltaNarBytes: 128 * 1024 * 1024,
  /** What comes with a request as files of its own, is not counted. */
  requestBytes: 4 * 1024 * 1024,
  /** What the agent says of how far it is. */
  progressBytes: 4096,
  /** What the agent says of what waits: a hundred paths with what is wrong, each character four bytes. */
  waitsBytes: 4 * 1024 * 1024,
  /** Secret keys for bundles that are encrypted. */
  identityBytes: 64 * 1024,
  /** Of the agent’s journal, the newest: what root looks at of it. */
  agentJournalBytes: 64 * 1024 * 1024,
  /** Beyond this a journal is compacted, before the next run. */
  journalBytes: 1024 * 1024,
  /** Of history that stays then, beside what is needed; and of runs. */
  journalHistoryBytes: 512 * 1024,
  journalRuns: 500,
  /** A longer line is damage, and passed over. */
  journalLineBytes: 1024 * 1024,
  /** Receipts on disk; with more, those of runs that are no longer in the journal go. */
  receipts: 1000,
  policyBytes: 1024 * 1024,
  /** A keyring of 64 keys, signed by as many. */
  keyringBytes: 256 * 1024,
  /** A receipt with the list of a very large system’s store paths: 30 bytes for each of 140,000, in base 64 twice. */
  receiptBytes: 8 * 1024 * 1024,
  /** Of one host, at the desk: as many as wait in a machine’s outbox. */
  receiptsKept: 64,
  receiptsKeptBytes: 32 * 1024 * 1024,
  settingsBytes: 64 * 1024,
  /** The oldest Nix whose command line nixmaker speaks: major, minor. */
  oldestNix: [2, 24],
  /** Lines of what Nix or switch-to-configuration says, kept for a report. */
  outputLines: 200,
  outputLineCharacters: 2000,
} as const;
