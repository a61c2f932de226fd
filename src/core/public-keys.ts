/** Public keys that a host tells the desk, in one line of text each. Pure. */
import * as z from './zod.ts';

/** The 51 bytes of RFC 8709, section 4, in base 64: length and name of the algorithm, length of the key, the key. */
const sshEd25519 = /^ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-P][A-Za-z0-9+/]{42}/;

/** `ssh-ed25519 AAAA…`, without a comment. */
export const sshHostKey = z
  .string()
  .check(z.regex(new RegExp(`${sshEd25519.source}$`), 'is not an Ed25519 SSH key'));

/** The key of a `.pub` file, without its comment; undefined if it holds none of this kind. */
export function sshHostKeyIn(text: string): string | undefined {
  const [key] = sshEd25519.exec(text) ?? [];
  const rest = text.slice(key?.length).trimEnd();
  return rest === '' || /^\s/.test(rest) ? key : undefined;
}

/** As age writes it, plugins’ and post-quantum ones included. */
export const ageRecipient = z.string().check(z.regex(/^age1[a-z0-9]{1,4091}$/, 'is not an age recipient'));
