import type { Command } from 'commander';
import { NixmakerError } from '../../core/errors.ts';
import { faultOf } from '../../core/fault.ts';
import { lines } from '../../core/lines.ts';
import type { Signer } from '../../desk/keys/key-files.ts';
import { printToStderr } from '../terminal/output.ts';

/** Where the key is: in a file, or known to a command. */
export interface KeyOptions {
  readonly key?: string;
  readonly signWith?: string;
  readonly publicKey?: string;
}

/** Who signs: shared by `sign` and `keyring sign`. */
export interface SignerOptions extends KeyOptions {
  readonly sshKey?: string;
  readonly name?: string;
}

export const addCommandOptions = (command: Command): Command =>
  command
    .option(
      '--sign-with <command>',
      'sign with a key in an HSM: the command gets the bytes on standard input and writes the 64 bytes of an Ed25519 signature',
    )
    .option('--public-key <key>', 'with --sign-with: its public key, as name:base64 or a file with that');

export function addSignerOptions(command: Command): Command {
  command.option('--key <file>', 'secret key to sign with (nixmaker keygen)');
  return addCommandOptions(command)
    .option(
      '--ssh-key <file>',
      'a person’s SSH key instead, also on a FIDO token or in an agent (ssh-keygen)',
    )
    .option('--name <name>', 'with --ssh-key: the name policies know it by');
}

const onPrompt = (line: string) => printToStderr(lines`${line}\n`);

/** The key of `build` and `put --flake`; nothing without one. @throws NixmakerError `usage`, `key-malformed` */
export async function builderKeyOf({
  key,
  signWith,
  publicKey,
}: KeyOptions): Promise<{ readonly signer: Signer; readonly keyFile?: string } | undefined> {
  if (key !== undefined && signWith !== undefined)
    throw new NixmakerError('usage', 'pass either --key or --sign-with');
  if ((signWith === undefined) !== (publicKey === undefined))
    throw new NixmakerError('usage', '--sign-with and --public-key go together');
  const { readPublicKeyArgument, readSigner } = await import('../../desk/keys/key-files.ts');
  if (signWith !== undefined && publicKey !== undefined) {
    const { makeCommandSigner } = await import('../../desk/keys/command-sign.ts');
    const text = await readPublicKeyArgument(publicKey);
    return { signer: makeCommandSigner({ command: signWith, publicKey: text, onPrompt }) };
  }
  if (key === undefined) return undefined;
  return { signer: await readSigner(key), keyFile: key };
}

async function signerOf(options: SignerOptions): Promise<Signer> {
  const { key, signWith, sshKey, name } = options;
  if ([key, signWith, sshKey].filter((given) => given !== undefined).length !== 1)
    throw new NixmakerError('usage', 'pass one of --key, --sign-with and --ssh-key');
  const builder = await builderKeyOf(options);
  if (builder !== undefined) return builder.signer;
  if (name === undefined) throw new NixmakerError('usage', '--ssh-key also needs --name');
  const { makeSshSigner } = await import('../../desk/keys/ssh-sign.ts');
  return makeSshSigner({ name, keyFile: sshKey as string, onPrompt });
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
