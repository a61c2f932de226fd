/** `put --self`: at a machine, from its own store. */
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { exitCodes } from '../../core/errors.ts';
import { eachLine, lines } from '../../core/lines.ts';
import type { Staging } from '../../desk/build/staging.ts';
import type { PutResult } from '../../desk/pool/put-options.ts';
import { onStop } from '../terminal/outlive.ts';
import { printToStderr, progressTerminal } from '../terminal/output.ts';

interface SelfFlags {
  readonly keep: number;
  readonly inTheClear?: boolean;
  /** Nixmaker’s version, if a list of what the release contains is to lie beside it. */
  readonly listedBy: string | undefined;
  readonly settings?: string;
  readonly json?: boolean;
}

/** @throws NixmakerError `nothing-to-pass-on`, `release-held`, `came-encrypted`, and as `putBundles` */
export async function putSelf(medium: string, flags: SelfFlags): Promise<PutResult> {
  const { keep, inTheClear = false, settings, json, listedBy: sbom } = flags;
  const { openMachineHere } = await import('../target/open.ts');
  const { makeStaging } = await import('../../desk/build/staging.ts');
  const { withOwnRelease } = await import('../../desk/pass-on/own-release.ts');
  const { putBundles } = await import('../../desk/pool/put.ts');
  const { makeByteProgress } = await import('../../report/byte-progress.ts');
  const machine = await openMachineHere({ settingsFile: settings }, () => undefined);
  const progress = makeByteProgress(progressTerminal(json === true), () => performance.now());
  const onWait = (who: string) => printToStderr(lines`waiting for ${who}, which is using ${medium}\n`);
  const staging = await makeStaging(tmpdir(), (text) => printToStderr(eachLine(text)));
  clearWhenStopped(staging);
  try {
    return await withOwnRelease(machine, { staging: staging.path, inTheClear }, (parts) =>
      putBundles(
        { medium, bundles: [], releases: [parts], keep, sbom, onWait },
        ({ host, phase, ...counted }) => progress.step({ title: `${host}: ${phase}`, ...counted }),
      ),
    );
  } finally {
    progress.end();
    await staging.clear();
  }
}

/**
 * The next run would clean up after this one, but at a machine that may be never. Threat: as much as a release stays in /tmp, in memory
 * where that is one. The medium is as after any other end.
 */
function clearWhenStopped({ path, links }: Staging): void {
  onStop((name) => {
    for (const each of [path, links]) rmSync(each, { recursive: true, force: true });
    printToStderr(lines`nixmaker: ${name}: stopped before everything was on the medium\n`);
    process.exit(exitCodes.interrupted);
  });
}
