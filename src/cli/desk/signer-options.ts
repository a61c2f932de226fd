import type { Command } from 'commander';
import { NixmakerError } from '../../core/errors.ts';
import { faultOf } from '../../core/fault.ts';
import { lines } from '../../core/lines.ts';
import type { Signer } from '../../desk/keys/sign.ts';
import { printToStderr } from '../terminal/output.ts';

/** Who signs: shared by `sign` and `keyring sign`. */
export interface SignerOptions {
  readonly key?: string;
  readonly sshKey?: string;
  readonly name?: string;
}

export function addSignerOptions(command: Command): Command {
  return command
    .option('--key <file>', 'secret key to sign with (nixmaker keygen)')
    .option(
      '--ssh-key <file>',
      'a person’s SSH key instead, also on a FIDO token or in an agent (ssh-keygen)',
    )
    .option('--name <name>', 'with --ssh-key: the name policies know it by');
}

async function signerOf({ key, sshKey, name }: SignerOptions): Promise<Signer> {
  if ((key === undefined) === (sshKey === undefined))
    throw new NixmakerError('usage', 'pass either --key or --ssh-key');
  if (key !== undefined) {
    const { readSecretKeyFile } = await import('../../desk/keys/key-files.ts');
    const { signerWith } = await import('../../desk/keys/sign.ts');
    return signerWith(await readSecretKeyFile(key));
  }
  if (name === undefined) throw new NixmakerError('usage', '--ssh-key also needs --name');
  const { makeSshSigner } = await import('../../desk/keys/ssh-sign.ts');
  return makeSshSigner({
    name,
    keyFile: sshKey as string,
    onPrompt: (line) => printToStderr(lines`${line}\n`),
  });
}

/** Signs one file after another, and reports each. A failure stops none of the others. @throws NixmakerError the first fault */
export async function signEach(
  files: readonly string[],
  options: SignerOptions,
  signFile: (file: string, signer: Signer) => Promise<void>,
): Promise<Signer> {
  const signer = await signerOf(options);
  const faults: NixmakerError[] = [];
  for (const file of files)
    try {
      await signFile(file, signer);
      printToStderr(lines`${file}: signed by ${signer.name}\n`);
    } catch (error) {
      const { code, detail } = faultOf(error);
      if (code === 'internal') throw error;
      faults.push(new NixmakerError(code, `${file}: ${detail}`));
      if (files.length > 1) printToStderr(lines`${file}: not signed: ${detail}\n`);
    }
  const [first] = faults;
  if (first !== undefined) throw first;
  return signer;
}
