/** The last commit after which the policy’s `hooks.after` ran, and what became of it: in root’s folder. */
import { join } from 'node:path';
import { type HookResult, hookResultParser } from '../core/run/hooks.ts';
import * as z from '../core/zod.ts';
import { writeDurably } from './durable.ts';
import { readOwn } from './own.ts';
import { parseStored } from './stored.ts';

const afterHook = z.strictObject({
  schema: z.literal(1),
  /** The run whose commit it followed. */
  transaction: z.string().check(z.maxLength(64)),
  at: z.string().check(z.maxLength(64)),
  result: hookResultParser,
});

export interface AfterHook {
  readonly schema: 1;
  readonly transaction: string;
  readonly at: string;
  readonly result: HookResult;
}

const file = (folder: string) => join(folder, 'after-hook.json');

export const writeAfterHook = (folder: string, value: AfterHook): Promise<void> =>
  writeDurably(file(folder), JSON.stringify(value));

/** Undefined if it never ran. @throws NixmakerError `state-corrupt` if the file is damaged */
export async function readAfterHook(folder: string): Promise<AfterHook | undefined> {
  const path = file(folder);
  const text = await readOwn(path);
  return text === undefined ? undefined : (parseStored(text, path, afterHook) as AfterHook);
}
