/** Whose signatures count for a first install: keys that the person at the machine names, or a keyring. */
import { readSmall } from '../../bundle/file.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { findInsufficient, type Keyring, type Trust } from '../../core/policy/keyring.ts';
import { believedTime } from '../../core/run/floor.ts';
import { openOwnKeyring } from '../../signing/keyring.ts';
import { trustSetOf } from '../../signing/verify.ts';

export interface Given {
  /** `name:base64`, or `name:` and an SSH key. */
  readonly keys: readonly string[];
  /** How many of them must have signed. */
  readonly threshold: number;
  /** A file; its keys count instead, and from the first start on. */
  readonly keyringFile: string | undefined;
}

export interface GivenTrust {
  readonly trust: Trust;
  readonly keyring: { readonly keyring: Keyring; readonly text: string } | undefined;
}

/**
 * A keyring is believed because the person who installs says so; but it must be signed as it demands itself, so that a damaged or
 * unfinished one is noticed.
 * @throws NixmakerError `usage`, `key-malformed`, `keyring-malformed`, `keyring-untrusted`
 */
export async function trustGiven({ keys, threshold, keyringFile }: Given, now: Date): Promise<GivenTrust> {
  if ((keys.length === 0) === (keyringFile === undefined))
    throw new NixmakerError('usage', 'say whose signatures count: --key, repeatable, or --keyring');
  if (keyringFile === undefined) {
    if (threshold > keys.length)
      throw new NixmakerError('usage', `--threshold is ${threshold}, but only ${keys.length} keys are given`);
    const trust = { trustedKeys: keys.map((key) => ({ key, roles: [] })), threshold, roles: {} };
    trustSetOf(trust);
    return { trust, keyring: undefined };
  }
  const bytes = await readSmall(keyringFile, limits.keyringBytes);
  if (bytes === undefined) throw new NixmakerError('no-such-file', keyringFile);
  const envelope = bytes.toString('utf8');
  const { keyring, text, signersAmong } = openOwnKeyring(envelope);
  const signedBy = signersAmong(trustSetOf(keyring).keys);
  const lacking = findInsufficient(keyring, { signedBy, now: believedTime(now, undefined).now });
  if (lacking !== undefined) throw new NixmakerError('keyring-untrusted', lacking.detail);
  const { trustedKeys, roles } = keyring;
  return { trust: { trustedKeys, threshold: keyring.threshold, roles }, keyring: { keyring, text } };
}
