/** What goes wrong with a server, in our codes. Nothing it says is repeated but numbers and what `messageOf` makes of it. */
import { messageOf, NixmakerError } from '../core/errors.ts';

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : '';

/** As OpenSSL and Node.js call faults of certificates and of the handshake (nodejs.org/api/tls.html, “X509 certificate error codes”). */
const ofTrust =
  /^(?:CERT_|ERR_TLS_CERT|ERR_SSL_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH|EPROTO$|ERR_OSSL_)/;

/** @param of the server, for people */
export function asServerError(error: unknown, of: string): NixmakerError {
  if (error instanceof NixmakerError) return error;
  const code = codeOf(error);
  const told = messageOf(error);
  const detail = `${of}: ${told.includes(code) ? told : `${code} ${told}`}`;
  // What does not follow HTTP’s rules: headers without end, lengths that contradict each other (llhttp’s HPE_…).
  if (code.startsWith('HPE_')) return new NixmakerError('source-misbehaves', detail, { cause: error });
  const reason = ofTrust.test(code) ? 'source-untrusted' : 'source-unreachable';
  return new NixmakerError(reason, detail, { cause: error });
}

/** Whether trying again may help: a connection that was cut, or a server that is busy. */
export const mayPass = (error: unknown): boolean =>
  error instanceof NixmakerError && error.code === 'source-unreachable';

export function asStatusError(status: number, what: string): NixmakerError {
  const detail = `${what}: status ${status}`;
  if (status === 408 || status === 429 || status >= 500)
    return new NixmakerError('source-unreachable', detail);
  if (status >= 400) return new NixmakerError('source-refused', detail);
  return new NixmakerError('source-misbehaves', detail);
}
