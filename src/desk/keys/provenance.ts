/** A provenance statement, checked against the release that it is said to be about. */
import { NixmakerError } from '../../core/errors.ts';
import { type Provenance, parseProvenance, provenanceType } from '../../core/release/provenance.ts';
import { readText } from '../../files/read.ts';
import { openEnvelope } from '../../signing/envelope.ts';
import { parseTrustedKey } from '../../signing/trusted-key.ts';

/**
 * @param digest of the release’s manifest, hexadecimal
 * @throws NixmakerError `provenance-malformed`, `provenance-mismatch`, `signature-unknown-key`
 */
export async function readProvenance(
  file: string,
  { keys, digest }: { readonly keys: readonly string[]; readonly digest: string },
): Promise<Provenance> {
  const text = await readText(file, 'provenance-malformed');
  const {
    text: payload,
    signersAmong,
    claimedSigners,
  } = openEnvelope(text, provenanceType, 'provenance-malformed');
  if (signersAmong(keys.map(parseTrustedKey)).length === 0)
    throw new NixmakerError(
      'signature-unknown-key',
      `the provenance statement is signed by ${claimedSigners.join(', ') || 'nobody'}, and by none of the given keys`,
    );
  const provenance = parseProvenance(payload);
  if (provenance.subject.some((subject) => subject.digest.sha256 === digest)) return provenance;
  throw new NixmakerError(
    'provenance-mismatch',
    `it is about ${provenance.subject.map((s) => s.name).join(', ')} with other contents`,
  );
}
