/** Nix’s signatures over store paths: path, NAR hash, size and references, and nothing else (Nix src/libstore/path-info.cc). */
import { fingerprint, type Narinfo } from '../core/bundle/narinfo.ts';
import { isSignedByKey, type PublicKey, type SecretKey } from './nix-key.ts';

type Signed = Pick<Narinfo, 'path' | 'narHash' | 'narSize' | 'references'>;

/** As in narinfos and Nix’s database: `name:base64`. */
export const signPath = (info: Signed, key: SecretKey): string =>
  `${key.name}:${key.sign(Buffer.from(fingerprint(info)))}`;

/** Signatures examined; anyone may add more, under any name. */
const most = 1000;

/** Whether one of the signatures is the key’s, over exactly this. */
export function isPathSigned(info: Signed, key: PublicKey, signatures: readonly string[]): boolean {
  const prefix = `${key.name}:`;
  const message = Buffer.from(fingerprint(info));
  return [...new Set(signatures)]
    .filter((text) => text.startsWith(prefix))
    .slice(0, most)
    .some((text) => isSignedByKey(key, message, text.slice(prefix.length)));
}
