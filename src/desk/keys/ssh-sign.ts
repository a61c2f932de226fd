/**
 * A person’s signature over a manifest or a keyring, by `ssh-keygen -Y sign`: the key may be in an agent, or on a token that needs a touch.
 */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { complaintOf } from '../../core/complaint.ts';
import { NixmakerError } from '../../core/errors.ts';
import { isKeyName } from '../../core/key-name.ts';
import { readText } from '../../files/read.ts';
import { runProgram } from '../../process/run.ts';
import type { Signer } from '../../signing/signer.ts';
import { readArmoured, sshNamespace } from '../../signing/ssh-signature.ts';
import { parseTrustedKey } from '../../signing/trusted-key.ts';

export interface SshSignerOptions {
  /** What policies call the key. */
  readonly name: string;
  /** The secret key, or the public one if the secret is in an agent. */
  readonly keyFile: string;
  /** What ssh-keygen says meanwhile: that the token needs a touch. */
  readonly onPrompt: (line: string) => void;
}

/** How long a person may take to touch a token. Milliseconds. */
const deadline = 300_000;

/** @throws NixmakerError `key-malformed` if targets don’t take keys of that kind */
export async function makeSshSigner({ name, keyFile, onPrompt }: SshSignerOptions): Promise<Signer> {
  if (!isKeyName(name)) throw new NixmakerError('key-malformed', `“${name}” is not a valid key name`);
  const publicFile = keyFile.endsWith('.pub') ? keyFile : `${keyFile}.pub`;
  const line = await readText(publicFile, 'key-malformed');
  const [type, base64] = line.trim().split(/ +/);
  const text = `${name}:${type} ${base64}`;
  const key = parseTrustedKey(text);
  return {
    name,
    kind: 'ssh',
    publicText: text,
    sign: async (message) => {
      const signature = await runKeygen(message, keyFile, onPrompt);
      if (!key.verifies(message, signature))
        throw new NixmakerError(
          'signature-invalid',
          `ssh-keygen signed with a different key than the one in ${publicFile}`,
        );
      return signature.toString('base64');
    },
  };
}

async function runKeygen(
  message: Buffer,
  keyFile: string,
  onPrompt: (line: string) => void,
): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'nixmaker-sign-'));
  try {
    const file = join(folder, 'message');
    await writeFile(file, message, { mode: 0o600 });
    const args = ['-Y', 'sign', '-n', sshNamespace, '-f', keyFile, file];
    const onStderrLine = (line: string) => {
      // The location of the files is nobody’s business; that the token is waiting is.
      if (!/^(Signing file|Write signature) /.test(line)) onPrompt(line);
    };
    const result = await runProgram('ssh-keygen', args, { timeout: deadline, onStderrLine });
    if (result.startError !== undefined)
      throw new NixmakerError('usage', `cannot start ssh-keygen: ${result.startError}`);
    if (result.exitCode !== 0) {
      const said = complaintOf(result, `it exited with ${result.exitCode}`);
      throw new NixmakerError('key-malformed', `ssh-keygen did not sign: ${said}`);
    }
    return readArmoured(await readFile(`${file}.sig`, 'utf8'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
