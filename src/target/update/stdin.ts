/**
 * A bundle on standard input. Nix asks for parts in its own order, so a stream must be stored: in a nameless file beside the state, only
 * after its signature has been verified, and only up to the announced size.
 */
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { decrypt, encryptedSizeAtMost } from '../../bundle/encrypted.ts';
import { type BundleFile, bundleFileOf } from '../../bundle/file.ts';
import { readAnnouncements, totalSizeOf } from '../../bundle/layout.ts';
import { type Authenticated, authenticateBundle } from '../../bundle/open.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { makeFolder } from '../../files/folder.ts';
import { type VerifiedManifest, verifyManifest } from '../../signing/verify.ts';
import { readIdentities } from '../machine/age-key.ts';
import type { Machine } from '../machine/machine.ts';
import { outcomeOf } from '../machine/transaction.ts';
import { lookEvery, requireRoom } from './room.ts';

/** Bytes certain to contain manifest and signatures: both at their largest, with headers and padding, encrypted or not. */
const headBytes = encryptedSizeAtMost(limits.manifestBytes + limits.signatureFileBytes + 4 * 512);

/** @throws NixmakerError as `examineBundle` does, before the bulk has been read; `no-space`, `io-error` */
export async function spoolInput(
  machine: Pick<Machine, 'agentDirectory' | 'policy' | 'randomHex' | 'settings' | 'trust'>,
  input: Readable,
): Promise<BundleFile> {
  const folder = join(machine.settings.stateDirectory, 'work');
  await makeFolder(folder);
  const path = join(folder, `stdin-${machine.randomHex(8)}`);
  const handle = await open(path, 'wx+', 0o600);
  await unlink(path);
  try {
    const file = bundleFileOf(handle, 'standard input');
    await copyInput(machine, { input, handle, file, folder });
    return file;
  } catch (error) {
    await handle.close();
    if (error instanceof NixmakerError && error.code !== 'no-space') throw error;
    const { code, detail } = outcomeOf(error);
    throw new NixmakerError(code, `cannot store standard input in ${folder}: ${detail}`, { cause: error });
  }
}

async function copyInput(
  machine: Pick<Machine, 'agentDirectory' | 'policy' | 'settings' | 'trust'>,
  { input, handle, file, folder }: { input: Readable; handle: FileHandle; file: BundleFile; folder: string },
): Promise<void> {
  const sizes = new Sizes(machine, file);
  let [written, looked] = [0, -lookEvery];
  for await (const chunk of input) {
    const bytes = chunk as Buffer;
    if (written - looked >= lookEvery) {
      await requireRoom(machine, folder, { bytes: sizes.left(written), files: 0 });
      looked = written;
    }
    await writeAll(handle, bytes, written);
    written += bytes.length;
    await sizes.check(written);
  }
  await sizes.end();
}

/** How much may come: known step by step, as whatever announces the rest arrives. */
class Sizes {
  readonly #machine: Pick<Machine, 'agentDirectory' | 'settings' | 'trust'>;
  readonly #file: BundleFile;
  #authenticated: Authenticated<VerifiedManifest> | undefined;
  /** Bytes after which to check again. */
  #next = headBytes;
  #limit: number | undefined;

  constructor(machine: Pick<Machine, 'agentDirectory' | 'settings' | 'trust'>, file: BundleFile) {
    this.#machine = machine;
    this.#file = file;
  }

  /** @throws NixmakerError as `verifyManifest`, `bundle-trailing-data` */
  async check(written: number): Promise<void> {
    if (this.#limit === undefined && written >= this.#next) await this.#look(written);
    if (this.#limit !== undefined && written > this.#limit)
      throw new NixmakerError('bundle-trailing-data', `more than the announced ${this.#limit} bytes arrived`);
  }

  /** Bytes still to come; 0 if not known yet. */
  left(written: number): number {
    return Math.max(0, (this.#limit ?? written) - written);
  }

  /** Everything has arrived: what is still unknown is missing. */
  async end(): Promise<void> {
    if (this.#limit === undefined) await this.#measure();
  }

  /** At first only the head counts; the rest may still be on its way. */
  async #look(written: number): Promise<void> {
    try {
      await this.#measure();
    } catch (error) {
      const isShort = error instanceof NixmakerError && error.code === 'bundle-truncated';
      if (!isShort || written > mostAnnounced) throw error;
      this.#next = 2 * written;
    }
  }

  async #measure(): Promise<void> {
    const { trust } = this.#machine;
    const opened = await decrypt(this.#file, () => readIdentities(this.#machine));
    this.#authenticated ??= await authenticateBundle(opened, (head) =>
      verifyManifest(head.manifestBytes, head.signatureBytes, trust),
    );
    const totalSize = totalSizeOf(await readAnnouncements(opened, this.#authenticated));
    this.#limit = opened === this.#file ? totalSize : encryptedSizeAtMost(totalSize);
  }
}

/** Threat: a stream that never reaches what it announces. Index, Nix’s signatures and contents at their largest, twice. */
const mostAnnounced =
  2 * encryptedSizeAtMost(limits.indexBytes + limits.nixSignatureBytes + limits.contentsBytes + headBytes);

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
