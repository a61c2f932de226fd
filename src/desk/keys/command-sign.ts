/**
 * A key that is not in a file: in an HSM, on a token, behind a signing service. A command of the operator’s gets the bytes on its standard
 * input and writes the signature to its standard output. It is started without a shell, as git starts `gpg.ssh.defaultKeyCommand`.
 */
import pLimit from 'p-limit';
import { exitText } from '../../core/complaint.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import type { CommandResult } from '../../core/ports.ts';
import { splitWords } from '../../core/words.ts';
import { runProgram } from '../../process/run.ts';
import { isSignedByKey, type PublicKey, parsePublicKey } from '../../signing/nix-key.ts';
import type { Signer } from '../../signing/signer.ts';

export interface CommandSignerOptions {
  readonly command: string;
  /** `name:base64`: the public half of the key that the command signs with. */
  readonly publicKey: string;
  /** What the command says meanwhile: that a token needs a touch. */
  readonly onPrompt: (line: string) => void;
}

/** How long a person may take to touch a token, or to have others approve. Milliseconds. */
const deadline = 300_000;

const signatureBytes = 64;

/** Of what it said: tools for PKCS #11 give the reason, and then that they give up. */
const mostLines = 3;

/** @throws NixmakerError `usage` if the command is no command, `key-malformed` */
export function makeCommandSigner({ command, publicKey, onPrompt }: CommandSignerOptions): Signer {
  const [program, ...args] = splitWords(command) ?? [];
  if (program === undefined || program === '')
    throw new NixmakerError('usage', '--sign-with is empty, or a quote in it is not closed');
  const key = parsePublicKey(publicKey);
  const oneAtATime = pLimit(1);
  let failure: unknown;
  const signOnce = async (message: Buffer): Promise<string> => {
    // Threat: a wrong PIN, offered again for every host, locks the token.
    if (failure !== undefined) throw failure;
    try {
      const result = await runProgram(program, args, {
        input: message,
        encoding: 'latin1',
        timeout: deadline,
        onStderrLine: onPrompt,
      });
      return checked(result, program, { key, message });
    } catch (error) {
      failure = error;
      throw error;
    }
  };
  return {
    name: key.name,
    kind: 'nix',
    publicText: `${key.name}:${key.material}`,
    sign: (message) => oneAtATime(() => signOnce(message)),
  };
}

/** Before anything is written: a signature that does not fit would have every machine refuse the bundle. */
function checked(
  result: CommandResult,
  program: string,
  { key, message }: { readonly key: PublicKey; readonly message: Buffer },
): string {
  const fail = (detail: string) => new NixmakerError('signer-failed', `${program}: ${detail}`);
  if (result.timedOut) throw fail(`it did not finish within ${deadline / 60_000} minutes`);
  if (result.exitCode !== 0) {
    const { startError, exitCode, stderrTail } = result;
    const said = messageOf(stderrTail.slice(-mostLines).join('; ') || 'it said nothing');
    throw fail(startError === undefined ? `${exitText(exitCode)}: ${said}` : messageOf(startError));
  }
  const bytes = Buffer.from(result.stdout, 'latin1');
  if (bytes.length !== signatureBytes)
    throw fail(`it wrote ${bytes.length} bytes; an Ed25519 signature has ${signatureBytes}`);
  const signature = bytes.toString('base64');
  if (!isSignedByKey(key, message, signature))
    throw new NixmakerError('signature-invalid', `${program} signed with a different key than “${key.name}”`);
  return signature;
}
