/**
 * A bundle on standard input. Nix asks for parts in its own order, so a stream must be kept: in a nameless file
 * beside the state, and only after its signature has been verified, up to exactly the signed size.
 */
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { decrypt, encryptedSizeAtMost } from '../../bundle/encrypted.ts';
import { type BundleFile, bundleFileOf } from '../../bundle/file.ts';
import { authenticateBundle } from '../../bundle/open.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { makeFolder } from '../../files/folder.ts';
import { verifyManifest } from '../../signing/verify.ts';
import { readIdentities } from '../machine/age-key.ts';
import type { Machine } from '../machine/machine.ts';

/** Bytes that surely hold manifest and signatures: both at their largest, with headers and padding, encrypted or not. */
const headBytes = encryptedSizeAtMost(limits.manifestBytes + limits.signatureFileBytes + 4 * 512);

/** @throws NixmakerError as `examineBundle` does, before the bulk has been read */
export async function spoolInput(
  machine: Pick<Machine, 'agentDirectory' | 'randomHex' | 'settings' | 'trust'>,
  input: Readable,
): Promise<BundleFile> {
  const folder = join(machine.settings.stateDirectory, 'work');
  await makeFolder(folder);
  const path = join(folder, `stdin-${machine.randomHex(8)}`);
  const handle = await open(path, 'wx+', 0o600);
  await unlink(path);
  try {
    const file = bundleFileOf(handle, 'standard input');
    await copyInput(machine, { input, handle, file });
    return file;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function copyInput(
  machine: Pick<Machine, 'agentDirectory' | 'settings' | 'trust'>,
  { input, handle, file }: { input: Readable; handle: FileHandle; file: BundleFile },
): Promise<void> {
  let written = 0;
  let limit: number | undefined;
  const authenticate = async () => {
    const opened = await decrypt(file, () => readIdentities(machine));
    const { totalSize } = await authenticateBundle(opened, (head) =>
      verifyManifest(head.manifestBytes, head.signatureBytes, machine.trust),
    );
    limit = opened === file ? totalSize : encryptedSizeAtMost(totalSize);
  };
  for await (const chunk of input) {
    const bytes = chunk as Buffer;
    await writeAll(handle, bytes, written);
    written += bytes.length;
    if (limit === undefined && written >= headBytes) await authenticate();
    if (limit !== undefined && written > limit) {
      throw new NixmakerError('bundle-trailing-data', `more than the signed ${limit} bytes came`);
    }
  }
  if (limit === undefined) await authenticate();
}

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
