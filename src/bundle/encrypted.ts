/**
 * Bundles encrypted to hosts, as age files (age-encryption.org/v1): a lost stick reveals nothing. They are decrypted in place,
 * one chunk at a time on demand, so nothing is spooled: age’s payload is 64 KiB chunks of ChaCha20-Poly1305,
 * each of which can be opened on its own (the C2SP specification of age, “Payload”). The library does the rest.
 *
 * Encryption is not trust: anyone who knows a host’s recipient can encrypt to it. The result is verified as usual.
 */
import { createDecipheriv, hkdfSync } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { encryptedMagic, isEncrypted } from '../core/bundle/encrypted.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { writeAtomically } from '../files/write.ts';
import { type BundleFile, exactly } from './file.ts';

/** Loaded only when a file is encrypted: few are, and its curves cost time and memory. */
const age = () => import('age-encryption');

const chunkBytes = 64 * 1024;
const tagBytes = 16;
const nonceBytes = 16;

/** The most bytes an encrypted file has for this many bytes of plaintext. */
export const encryptedSizeAtMost = (plain: number): number =>
  limits.ageHeaderBytes + nonceBytes + plain + tagBytes * (1 + Math.ceil(plain / chunkBytes));

/** @throws NixmakerError `not-decryptable` if none of the identities is a recipient; returned unchanged if it isn’t encrypted */
export async function decrypt(
  file: BundleFile,
  readIdentities: () => Promise<readonly string[]>,
): Promise<BundleFile> {
  const start = Buffer.alloc(encryptedMagic.length);
  await file.readInto(start, 0);
  if (!isEncrypted(start)) return file;
  const header = await readHeader(file);
  const key = await fileKeyOf(header, await readIdentities());
  const nonce = await file.read(header.length, nonceBytes);
  const streamKey = Buffer.from(hkdfSync('sha256', key, nonce, 'payload', 32));
  return payloadOf(file, { streamKey, start: header.length + nonceBytes });
}

/** Up to the line that begins with `---`. @throws NixmakerError `bundle-truncated`, `not-a-bundle` */
async function readHeader(file: BundleFile): Promise<Buffer> {
  for (let length = 4096; ; length = Math.min(4 * length, limits.ageHeaderBytes)) {
    const buffer = Buffer.alloc(length);
    const bytes = buffer.subarray(0, await file.readInto(buffer, 0));
    const mac = bytes.indexOf('\n--- ');
    const end = mac === -1 ? -1 : bytes.indexOf('\n', mac + 1);
    if (end !== -1) return requireFewRecipients(bytes.subarray(0, end + 1));
    if (bytes.length < length)
      throw new NixmakerError('bundle-truncated', 'the file ends inside its encryption header');
    if (length >= limits.ageHeaderBytes)
      throw new NixmakerError('not-a-bundle', `the encryption header exceeds ${length} bytes`);
  }
}

const stanzaMark = '\n-> ';

/**
 * Threat: a one-mebibyte header holds some nine thousand recipients, and each is tried with each key of this machine: half a minute
 * without a compiler, for anyone’s file. The ones we write stay within this limit.
 * @throws NixmakerError `not-a-bundle`
 */
function requireFewRecipients(header: Buffer): Buffer {
  let count = 0;
  for (let at = header.indexOf(stanzaMark); at !== -1; at = header.indexOf(stanzaMark, at + 1)) count += 1;
  if (count <= limits.ageRecipients) return header;
  throw new NixmakerError(
    'not-a-bundle',
    `it is encrypted for ${count} recipients; at most ${limits.ageRecipients} are tried`,
  );
}

async function fileKeyOf(header: Buffer, identities: readonly string[]): Promise<Uint8Array> {
  if (identities.length === 0)
    throw new NixmakerError('not-decryptable', 'it is encrypted, and this machine has no key to decrypt it');
  const { Decrypter } = await age();
  const decrypter = new Decrypter();
  try {
    for (const identity of identities) decrypter.addIdentity(identity);
  } catch {
    // Its message may contain what was read.
    throw new NixmakerError('key-malformed', 'this machine’s decryption key is not an age identity');
  }
  try {
    return await decrypter.decryptHeader(header);
  } catch (cause) {
    throw new NixmakerError('not-decryptable', messageOf(cause), { cause });
  }
}

interface Payload {
  readonly streamKey: Buffer;
  /** Where the first chunk begins. */
  readonly start: number;
}

/** Chunks of the plaintext by index. The last one read is kept: members are read front to back. */
function chunksOf(file: BundleFile, { streamKey, start }: Payload): (index: number) => Promise<Buffer> {
  let kept: { readonly index: number; readonly bytes: Buffer } | undefined;

  return async (index) => {
    if (kept?.index === index) return kept.bytes;
    const encrypted = Buffer.allocUnsafe(chunkBytes + tagBytes);
    const got = await file.readInto(encrypted, start + index * encrypted.length);
    const whole = got === encrypted.length;
    const bytes =
      (whole ? openChunk(streamKey, encrypted, { index, last: false }) : undefined) ??
      openChunk(streamKey, encrypted.subarray(0, got), { index, last: true });
    if (bytes === undefined && whole)
      throw new NixmakerError('bundle-altered', 'part of the encrypted file does not match what was written');
    // The file is still being copied, or was cut off here.
    if (bytes === undefined) throw new NixmakerError('bundle-truncated', 'the encrypted data is cut short');
    kept = { index, bytes };
    return bytes;
  };
}

/** The plaintext, read by position. */
function payloadOf(file: BundleFile, payload: Payload): BundleFile {
  const { start } = payload;
  const chunk = chunksOf(file, payload);

  const size = async (): Promise<number> => {
    const encrypted = Math.max(0, (await file.size()) - start);
    return Math.max(0, encrypted - tagBytes * Math.ceil(encrypted / (chunkBytes + tagBytes)));
  };

  const readInto = async (buffer: Buffer, position: number): Promise<number> => {
    const most = Math.min(buffer.length, Math.max(0, (await size()) - position));
    for (let done = 0; done < most; ) {
      const at = position + done;
      const bytes = await chunk(Math.floor(at / chunkBytes));
      const copied = bytes.copy(buffer, done, at % chunkBytes, (at % chunkBytes) + most - done);
      if (copied === 0) return done;
      done += copied;
    }
    return most;
  };

  return {
    name: file.name,
    size,
    readInto,
    read: exactly({ size, readInto }),
    close: () => file.close(),
  };
}

/** The nonce is an eleven-byte counter and a byte that marks the last chunk; undefined if the tag does not fit. */
function openChunk(
  key: Buffer,
  encrypted: Buffer,
  { index, last }: { index: number; last: boolean },
): Buffer | undefined {
  if (encrypted.length < tagBytes) return undefined;
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(index, 5, 6);
  nonce.writeUInt8(last ? 1 : 0, 11);
  const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: tagBytes });
  decipher.setAuthTag(encrypted.subarray(-tagBytes));
  const bytes = decipher.update(encrypted.subarray(0, -tagBytes));
  try {
    decipher.final();
    return bytes;
  } catch {
    return undefined;
  }
}

/** A new secret key in age’s text form. */
export const generateIdentity = async (): Promise<string> => (await age()).generateX25519Identity();

/** The public half of a secret key. @throws NixmakerError `key-malformed`; the message never holds key material */
export async function recipientOf(identity: string): Promise<string> {
  const { identityToRecipient } = await age();
  try {
    return await identityToRecipient(identity);
  } catch {
    throw new NixmakerError('key-malformed', 'it is not an age identity (AGE-SECRET-KEY-1…)');
  }
}

/**
 * Encrypts a file; anyone who is not a recipient learns only its size.
 * @throws NixmakerError `key-malformed` for anything but a recipient, `usage` for too many
 */
export async function encryptFile(from: string, to: string, recipients: readonly string[]): Promise<void> {
  const { Encrypter } = await age();
  const encrypter = new Encrypter();
  if (recipients.length > limits.ageRecipients)
    throw new NixmakerError(
      'usage',
      `there are ${recipients.length} recipients; a target tries at most ${limits.ageRecipients}`,
    );
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient);
    } catch (cause) {
      throw new NixmakerError('key-malformed', `“${recipient}” is not an age recipient (age1…)`, { cause });
    }
  }
  await writeAtomically(to, async (out) => {
    const plain = Readable.toWeb(createReadStream(from, { highWaterMark: 1024 * 1024 }));
    const encrypted = await encrypter.encrypt(plain as unknown as globalThis.ReadableStream<Uint8Array>);
    for await (const bytes of encrypted as unknown as ReadableStream<Uint8Array>) await out.writeFile(bytes);
  });
}
