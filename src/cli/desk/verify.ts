import type { Command } from 'commander';
import { exitCodes, messageOf, NixmakerError } from '../../core/errors.ts';
import { faultOf } from '../../core/fault.ts';
import { lines } from '../../core/lines.ts';
import { print, printJson, printToStderr, runVerb, severalTimes } from '../terminal/output.ts';

interface VerifyOptions {
  readonly key: readonly string[];
  readonly rebuiltBy: readonly string[];
  readonly provenance?: string;
  readonly host?: string;
  readonly json?: boolean;
}

export function defineVerify(program: Command): void {
  program
    .command('verify')
    .summary('check a bundle as a target would')
    .description('check a bundle as a target would: signature, layout and every byte (exit 0 or 65)')
    .argument('<bundle>')
    .option('--key <key>', 'trusted public key: name:base64, or a file; repeatable', severalTimes, [])
    .option(
      '--rebuilt-by <key>',
      'a second builder’s public key, which must have signed the same release; repeatable',
      severalTimes,
      [],
    )
    .option('--provenance <file>', 'also check its provenance.json, which one of the keys must have signed')
    .option('--host <host>', 'the host it must be for')
    .option('--json', 'print JSON')
    .action((bundle: string, options: VerifyOptions) => runVerb(() => verify(bundle, options), options));
}

async function verify(bundle: string, options: VerifyOptions): Promise<number> {
  const { key, host, json, provenance } = options;
  const { readPublicKeyArgument } = await import('../../desk/keys/key-files.ts');
  const { verifyBundleFile } = await import('../../desk/keys/verify.ts');
  const keys = await Promise.all(key.map(readPublicKeyArgument));
  const rebuiltBy = await Promise.all(options.rebuiltBy.map(readPublicKeyArgument));
  try {
    const { manifest, digest, signedBy } = await verifyBundleFile(bundle, { keys, rebuiltBy, host });
    const origin =
      provenance === undefined
        ? undefined
        : await originOf(provenance, { keys: [...keys, ...rebuiltBy], digest });
    if (json === true) {
      printJson({
        schema: 1,
        ok: true,
        host: manifest.host,
        sequence: manifest.sequence,
        toplevel: manifest.toplevel,
        signedBy,
        provenance: origin,
      });
    } else {
      print(lines`ok: ${manifest.host} ${manifest.sequence}, signed by ${signedBy.join(', ')}\n`);
      if (origin !== undefined) print(lines`built by ${origin.builder} from ${origin.flake}\n`);
    }
    return exitCodes.done;
  } catch (error) {
    if (!(error instanceof NixmakerError) || error.code === 'key-malformed') throw error;
    // Nothing bad was found in files that don’t exist.
    if (faultOf(error).code !== error.code) throw error;
    if (json === true) printJson({ schema: 1, ok: false, code: error.code, detail: error.detail });
    else print(lines`${error.code}: ${messageOf(error.detail)}\n`);
    if (keys.length === 0) printToStderr(lines`No key was given to check the signature with (--key).\n`);
    return exitCodes.badBundle;
  }
}

async function originOf(
  file: string,
  expected: { readonly keys: readonly string[]; readonly digest: string },
) {
  const { readProvenance } = await import('../../desk/keys/provenance.ts');
  const { predicate } = await readProvenance(file, expected);
  const { resolvedDependencies } = predicate.buildDefinition;
  return { builder: predicate.runDetails.builder.id, flake: resolvedDependencies[0]?.uri ?? 'unknown' };
}
