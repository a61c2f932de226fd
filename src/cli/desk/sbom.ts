import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { printJson, printToStderr, runVerb } from '../terminal/output.ts';

export function defineSbom(program: Command): void {
  program
    .command('sbom')
    .summary('list what a bundle contains, as CycloneDX')
    .description('print a bill of materials in CycloneDX’s JSON form: every store path and what it refers to')
    .argument('<bundle>')
    .action((bundle: string, _: object, self: Command) => runVerb(() => sbom(bundle, versionOf(self))));
}

/** Nixmaker’s own. */
export const versionOf = (command: Command): string =>
  command.parent === null ? (command.version() ?? 'unknown') : versionOf(command.parent);

async function sbom(bundle: string, version: string): Promise<number> {
  const { readAnyHead, readAnyIndex } = await import('../../desk/keys/read-release.ts');
  const { sbomOf } = await import('../../desk/keys/sbom.ts');
  const { digest } = await readAnyHead(bundle);
  printJson(JSON.parse(sbomOf(await readAnyIndex(bundle), digest, version)));
  printToStderr(lines`From the bundle’s own index; no signature was checked (nixmaker verify).\n`);
  return exitCodes.done;
}
