/** Memory of large buffers, given back when they have been used rather than when V8’s collector gets to them. */

/** Smaller ones may share their memory with others (Buffer.poolSize). */
const leastBytes = 64 * 1024;
/** What a buffer may have beyond what came out of it. */
const slackBytes = 64;

/**
 * Gives a buffer’s memory back to the process, which then uses it again: V8 collects only after 64 MiB of them, and each new one costs the
 * kernel’s zeroing of all its pages. The buffer is empty afterwards; one that is small, or only part of another’s memory, is left alone.
 * Threat: whoever still uses it would see it empty. Only for what nobody else has.
 */
export function giveBack({ buffer, byteLength }: Uint8Array): void {
  if (byteLength < leastBytes || buffer.byteLength > byteLength + slackBytes) return;
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}

/**
 * The same for parts of a buffer, together with what is beyond them: only where nobody else has any of it. Node.js’s pool, which all small
 * buffers are in, is left alone.
 */
export function giveBackAround(parts: readonly Uint8Array[]): void {
  // Of those given back already, there are no bytes.
  for (const { buffer } of parts)
    if (buffer instanceof ArrayBuffer && buffer.byteLength > Math.max(leastBytes, Buffer.poolSize))
      buffer.transfer(0);
}
