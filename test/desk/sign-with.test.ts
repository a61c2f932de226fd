/** Signatures by a command of the operator’s: what it gets, what it must give, and what happens if it doesn’t. */
import assert from 'node:assert/strict';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { NixmakerError } from '../../src/core/errors.ts';
import { splitWords } from '../../src/core/words.ts';
import { makeCommandSigner } from '../../src/desk/keys/command-sign.ts';
import { signBundleFile } from '../../src/desk/keys/sign.ts';
import { verifyBundleFile } from '../../src/desk/keys/verify.ts';
import { generateKeyPair } from '../../src/signing/nix-key.ts';
import { temporaryFolder, writeTestBundle } from '../support/bundles.ts';

const [own, other] = [generateKeyPair('hsm-1'), generateKeyPair('hsm-1')];

/** Signs with a seed, as an HSM would, and then does as it is told. */
const program = (secret: string, ends: string) => `#!${process.execPath}
const { sign, createPrivateKey } = require('node:crypto');
const { appendFileSync, readFileSync } = require('node:fs');
appendFileSync(__filename + '.starts', 'x');
const seed = Buffer.from('${secret.slice(secret.indexOf(':') + 1)}', 'base64').subarray(0, 32);
const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
const signature = sign(null, readFileSync(0), key);
console.error('touch the “token”');
${ends}
`;

const writes = 'process.stdout.write(signature);';

async function prepare(t: TestContext, { secret = own.secret, ends = writes } = {}) {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'sign here');
  await writeFile(file, program(secret, ends));
  await chmod(file, 0o755);
  const bundle = join(folder, 'web.tar');
  await writeTestBundle(bundle, { manifest: { host: 'web', sequence: 1 } });
  const said: string[] = [];
  const signer = makeCommandSigner({
    command: `"${file}" --flag`,
    publicKey: own.public,
    onPrompt: (line) => said.push(line),
  });
  const starts = async () => (await readFile(`${file}.starts`, 'utf8')).length;
  return { bundle, signer, said, starts };
}

async function refused(work: Promise<unknown>, code: string, detail: RegExp): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof NixmakerError, String(error));
    assert.equal(error.code, code, error.detail);
    assert.match(error.detail, detail);
    return true;
  });
}

test('what the command signs is what a key in a file would have signed, and people see what it says', async (t) => {
  const { bundle, signer, said } = await prepare(t);
  await signBundleFile(bundle, signer);
  const { signedBy } = await verifyBundleFile(bundle, { keys: [own.public], host: undefined });
  assert.deepEqual(signedBy, ['hsm-1']);
  assert.deepEqual(said, ['touch the “token”']);
});

for (const [what, options, code, detail] of [
  ['another key’s signature', { secret: other.secret }, 'signature-invalid', /different key than “hsm-1”/],
  [
    'a signature in base64',
    { ends: 'process.stdout.write(signature.toString("base64"))' },
    'signer-failed',
    /it wrote 88 bytes; an Ed25519 signature has 64/,
  ],
  ['nothing at all', { ends: '' }, 'signer-failed', /it wrote 0 bytes/],
  ['a signature and an error', { ends: `${writes} process.exit(7)` }, 'signer-failed', /exit 7: touch the/],
  ['no end', { ends: 'process.kill(process.pid, "SIGKILL")' }, 'signer-failed', /killed by a signal/],
] as const)
  test(`${what} is no signature: the bundle stays as it was, and the command is not started again`, async (t) => {
    const { bundle, signer, starts } = await prepare(t, options);
    const before = await readFile(bundle);
    await refused(signBundleFile(bundle, signer), code, detail);
    await refused(signer.sign(Buffer.from('the next bundle')), code, detail);
    assert.ok((await readFile(bundle)).equals(before));
    assert.equal(await starts(), 1);
  });

test('a command that is none is refused before it is needed, and one that is not there when it is', async () => {
  const make = (command: string) => () =>
    makeCommandSigner({ command, publicKey: own.public, onPrompt: () => undefined });
  for (const command of ['', '  ', '"open', "'open", 'back\\', '""'])
    assert.throws(make(command), /usage: --sign-with is empty, or a quote in it is not closed/, command);
  await refused(make('/nowhere/pkcs11-tool')().sign(Buffer.alloc(1)), 'signer-failed', /nowhere.*ENOENT/);
});

test('a command is split into words as a shell does it, and nothing is expanded', () => {
  assert.deepEqual(splitWords(` a "b c" d\\ e 'f"g' "h\\"i\\\\" $HOME * j'k'l\n`), [
    ...['a', 'b c', 'd e', 'f"g', 'h"i\\', '$HOME', '*', 'jkl'],
  ]);
  const quoted = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;
  fc.assert(
    fc.property(fc.array(fc.string()), (words) => {
      assert.deepEqual(splitWords(words.map(quoted).join(' ')), words);
    }),
  );
});
