/** A medium that is a folder, and bundles to put onto it. */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { cacheOf, listPool } from '../../src/bundle/pool.ts';
import { NixmakerError, type ReasonCode } from '../../src/core/errors.ts';
import type { ProcessRunner } from '../../src/core/ports.ts';
import { putBundles } from '../../src/desk/pool/put.ts';
import { runProgram } from '../../src/process/run.ts';
import { type BundlePlan, temporaryFolder, writeTestBundle } from './bundles.ts';

interface Desk {
  readonly medium: string;
  bundle(host: string, sequence: number, plan?: BundlePlan): Promise<string>;
  put(
    bundles: readonly string[],
    options?: { keep?: number; run?: ProcessRunner },
  ): ReturnType<typeof putBundles>;
}

export async function stickDesk(t: TestContext): Promise<Desk> {
  const folder = await temporaryFolder(t);
  const medium = join(folder, 'stick');
  await mkdir(medium);
  return {
    medium,
    bundle: async (host, sequence, plan = {}) => {
      const path = join(folder, `${host}-${sequence}.tar`);
      await writeTestBundle(path, { ...plan, manifest: { ...plan.manifest, host, sequence } });
      return path;
    },
    put: (bundles, { keep = 1, run = runProgram } = {}) =>
      putBundles({ medium, bundles, keep }, () => undefined, run),
  };
}

export const fails = (code: ReasonCode) => (error: unknown) =>
  error instanceof NixmakerError && error.code === code;
export const entries = async (medium: string) =>
  (await listPool(medium)).map((e) => `${e.host}/${e.sequence}`);
export const nars = async (medium: string) =>
  (await readdir(join(cacheOf(medium), 'nar'), { recursive: true })).filter((name) =>
    name.endsWith('.nar.zst'),
  );
export const indexes = (medium: string) => readdir(join(cacheOf(medium), 'index'));
