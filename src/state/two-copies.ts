/** Data that must not be lost, in two checksummed copies, written one after the other so that a power cut damages at most one. */
import { join } from 'node:path';
import type * as z from '../core/zod.ts';
import { readChecksummed, withChecksum } from './checksummed.ts';
import { writeDurably } from './durable.ts';
import { readOwn } from './own.ts';

export interface Copies<T> {
  readonly readable: readonly T[];
  /** Copies that exist but can’t be read. */
  readonly damaged: number;
}

/** A checksummed file’s value, or undefined if it is damaged or not ours. */
export function readChecked<T>(text: string, parser: z.ZodMiniType<T>): T | undefined {
  const parsed = parser.safeParse(readChecksummed(text.trimEnd()));
  return parsed.success ? parsed.data : undefined;
}

/** @param name the file’s, to which `.a` and `.b` are added */
const copiesOf = (folder: string, name: string) => ['a', 'b'].map((copy) => join(folder, `${name}.${copy}`));

export async function readCopies<T>(
  folder: string,
  name: string,
  parser: z.ZodMiniType<T>,
): Promise<Copies<T>> {
  const texts = await Promise.all(copiesOf(folder, name).map(readOwn));
  const there = texts.filter((text) => text !== undefined);
  const readable = there.map((text) => readChecked(text, parser)).filter((value) => value !== undefined);
  return { readable, damaged: there.length - readable.length };
}

export async function writeCopies(folder: string, name: string, value: unknown): Promise<void> {
  for (const path of copiesOf(folder, name)) await writeDurably(path, withChecksum(value));
}
