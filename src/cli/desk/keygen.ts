import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { print, printJson, printToStderr, runVerb } from '../terminal/output.ts';

interface KeygenOptions {
  readonly out: string;
  readonly json?: boolean;
}

export function defineKeygen(program: Command): void {
  program
    .command('keygen')
    .summary('create a key pair')
    .description('create a key pair: NAME.secret to sign with, NAME.public for the targets')
    .argument('<name>', 'key name, for example fleet-2027')
    .option('--out <directory>', 'where to write the two files', '.')
    .option('--json', 'print JSON')
    .action((name: string, options: KeygenOptions) => runVerb(() => keygen(name, options), options));
}

async function keygen(name: string, { out, json }: KeygenOptions): Promise<number> {
  const { makeKeyFiles } = await import('../../desk/keys/key-files.ts');
  const files = await makeKeyFiles(name, out);
  if (json === true) printJson({ schema: 1, ...files });
  else print(lines`${files.publicKey}\n`);
  printToStderr(
    lines`Keep ${files.secretFile} secret and backed up. The line above (also in ${files.publicFile}) goes to the targets.\n`,
  );
  if (files.isExposed)
    printToStderr(
      lines`warning: others can read ${files.secretFile}, because its file system stores no modes. Create the key elsewhere and delete this one.\n`,
    );
  return exitCodes.done;
}
