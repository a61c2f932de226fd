/** The lines of a file, as bytes, in bounded memory whatever it contains. */
import type { FileHandle } from 'node:fs/promises';

const newline = 0x0a;
const chunkBytes = 256 * 1024;

/**
 * Threat: after a power cut a file may end in megabytes of zeros, and a line in another user’s folder may never end.
 * @param range bytes of the file
 * @param most bytes in a line; a longer one comes as undefined @returns also what follows the last newline, if anything does
 */
export async function* linesOf(
  file: FileHandle,
  most: number,
  { from, to }: { readonly from: number; readonly to: number },
): AsyncGenerator<Buffer | undefined> {
  let begun: Buffer[] = [];
  let length = 0;
  const take = (): Buffer | undefined => {
    const line = length > most ? undefined : Buffer.concat(begun);
    begun = [];
    length = 0;
    return line;
  };
  const add = (bytes: Buffer) => {
    length += bytes.length;
    if (length > most) begun = [];
    else begun.push(bytes);
  };
  for (let position = from; position < to; ) {
    const wanted = Math.min(chunkBytes, to - position);
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(wanted), 0, wanted, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    const chunk = buffer.subarray(0, bytesRead);
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      add(chunk.subarray(start, end));
      start = end + 1;
      yield take();
    }
    if (start < chunk.length) add(chunk.subarray(start));
  }
  if (length > 0) yield take();
}
