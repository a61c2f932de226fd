import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { printJson, printPath, printToStderr, runVerb } from '../terminal/output.ts';
import { readEpoch, wholeNumber } from './build.ts';

interface PackFlags {
  readonly directory: string;
  readonly host: string;
  readonly system: string;
  readonly toplevel: string;
  readonly derivation: string;
  readonly sequence: number;
  readonly json?: boolean;
}

export function definePack(program: Command): void {
  program
    .command('pack')
    .summary('create an unsigned bundle from a binary cache, without Nix')
    .description('create an unsigned bundle from a binary cache folder, without Nix')
    .argument('<cache>', 'a folder with the system’s closure, compressed with zstd')
    .requiredOption('--host <host>', 'the host it is for')
    .requiredOption('--system <system>', 'system type as Nix spells it: x86_64-linux')
    .requiredOption('--toplevel <path>', 'the system’s store path')
    .requiredOption('--derivation <path>', 'the system’s derivation')
    .option('-d, --directory <directory>', 'where the bundle is written: DIRECTORY/<host>/<host>.tar', '.')
    .option('--sequence <number>', 'use a sequence higher than this', wholeNumber, 0)
    .option('--json', 'print JSON')
    .action((cache: string, flags: PackFlags) => runVerb(() => pack(cache, flags), flags));
}

async function pack(cache: string, { sequence, json, ...flags }: PackFlags): Promise<number> {
  const { packCache } = await import('../../desk/build/pack.ts');
  const epoch = readEpoch(process.env.SOURCE_DATE_EPOCH ?? '0');
  const packed = await packCache({ cache, ...flags, sequenceAbove: sequence, epoch });
  if (json === true) printJson({ schema: 1, ok: true, ...packed });
  else printPath(packed.bundle);
  printToStderr(lines`Unsigned: no target takes it yet. Sign a copy with \`nixmaker sign\`.\n`);
  return exitCodes.done;
}
