/** `put --self`: at a machine, from its own store. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PutResult } from '../../desk/pool/put-options.ts';
import { progressTerminal } from '../terminal/output.ts';

interface SelfFlags {
  readonly keep: number;
  readonly inTheClear?: boolean;
  /** Nixmaker’s version, if a list of what the release contains is to lie beside it. */
  readonly listedBy: string | undefined;
  readonly settings?: string;
  readonly json?: boolean;
}

/** @throws NixmakerError `nothing-to-pass-on`, `came-encrypted`, and as `putBundles` */
export async function putSelf(medium: string, flags: SelfFlags): Promise<PutResult> {
  const { keep, inTheClear = false, settings, json, listedBy: sbom } = flags;
  const { openMachineHere } = await import('../target/open.ts');
  const { withOwnRelease } = await import('../../desk/pass-on/own-release.ts');
  const { putBundles } = await import('../../desk/pool/put.ts');
  const { makeByteProgress } = await import('../../report/byte-progress.ts');
  const machine = await openMachineHere({ settingsFile: settings }, () => undefined);
  const progress = makeByteProgress(progressTerminal(json === true), () => performance.now());
  const staging = await mkdtemp(join(tmpdir(), 'nixmaker-self-'));
  try {
    return await withOwnRelease(machine, { staging, inTheClear }, (parts) =>
      putBundles({ medium, bundles: [], releases: [parts], keep, sbom }, ({ host, phase, ...counted }) =>
        progress.step({ title: `${host}: ${phase}`, ...counted }),
      ),
    );
  } finally {
    progress.end();
    await rm(staging, { recursive: true, force: true });
  }
}
