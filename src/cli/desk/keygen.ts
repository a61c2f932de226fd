import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { print, printJson, printToStderr, runVerb } from '../terminal/output.ts';

interface KeygenOptions {
  readonly out: string;
  readonly from?: string;
  readonly json?: boolean;
}

export function defineKeygen(program: Command): void {
  program
    .command('keygen')
    .summary('create a key pair')
    .description('create a key pair: NAME.secret to sign with, NAME.public for the targets')
    .argument('<name>', 'key name, for example fleet-2027')
    .option('--out <directory>', 'where to write the two files', '.')
    .option(
      '--from <file>',
      'no new key: write only NAME.public, from the public key in this PEM or DER file (of a key in an HSM)',
    )
    .option('--json', 'print JSON')
    .action((name: string, options: KeygenOptions) => runVerb(() => keygen(name, options), options));
}

async function keygen(name: string, { out, from, json }: KeygenOptions): Promise<number> {
  const { makeKeyFiles, makePublicFile } = await import('../../desk/keys/key-files.ts');
  if (from !== undefined) {
    const file = await makePublicFile({ name, folder: out, from });
    if (json === true) printJson({ schema: 1, ...file });
    else print(lines`${file.publicKey}\n`);
    printToStderr(lines`The line above (also in ${file.publicFile}) goes to the targets.\n`);
    return exitCodes.done;
  }
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
