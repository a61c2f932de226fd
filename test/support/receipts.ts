/** Receipts as machines write them, without machines: signed by keys of their own, laid onto a medium. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type HostReceipt, hostReceiptType } from '../../src/core/run/host-receipt.ts';
import { signEnvelope } from '../../src/signing/envelope.ts';
import { generateKeyPair, parseSecretKey } from '../../src/signing/nix-key.ts';
import { main } from '../machines/compiled.ts';
import { type Ran, run } from '../machines/program.ts';

export const systemOf = (release: number) =>
  `/nix/store/${String(release).padStart(32, '0')}-nixos-system-web`;

export interface Installation {
  readonly publicKey: string;
  /** Signs any payload as this machine; what is given counts, the rest is a host that is well. */
  sign(fields: Partial<HostReceipt> & { readonly number: number }): string;
  signBytes(payload: string): string;
}

/** One installation of a host: its key, and what it says. */
export function install(host: string, keyName = host): Installation {
  const pair = generateKeyPair(keyName);
  const key = parseSecretKey(pair.secret);
  const signBytes = (payload: string) => signEnvelope(Buffer.from(payload), hostReceiptType, key);
  return {
    publicKey: pair.public,
    signBytes,
    sign: (fields) =>
      signBytes(
        JSON.stringify({
          schema: 1,
          host,
          hostKey: pair.public,
          at: '2026-11-20T08:00:00Z',
          run: committed(fields.number),
          now: nowOf(fields.number, fields.number),
          seen: [],
          ...fields,
        }),
      ),
  };
}

export const committed = (sequence: number) => ({
  transaction: '0123456789ab',
  at: '2026-11-20T08:00:00Z',
  source: 'web.tar',
  state: 'committed' as const,
  sequence,
  toplevel: systemOf(sequence),
});

export const nowOf = (release: number, floor: number) => ({
  running: systemOf(release),
  installed: systemOf(release),
  floor,
  versions: { nixmaker: '0.1.0', nixos: '26.05.20261101.abcdef' },
  failedUnits: [],
  space: [{ path: '/nix/store', freeBytes: 1024 ** 3, totalBytes: 1024 ** 4 }],
});

/** Lays receipts, by file name, into a medium’s folder of a host. @returns the folder */
export async function lay(
  medium: string,
  host: string,
  files: Readonly<Record<string, string>>,
): Promise<string> {
  const folder = join(medium, 'nixmaker/receipts', host);
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

/** The command line, which needs no Nix for receipts. */
export const nixmaker = (...args: readonly string[]): Promise<Ran> => run(process.execPath, [main, ...args]);

/** The same, and the most memory it had, in MiB (getrusage(2)). */
export async function measured(...args: readonly string[]): Promise<Ran & { readonly mebibytes: number }> {
  const tell =
    'data:text/javascript,process.on("exit",()=>process.stderr.write(`\\nmaxRSS ${process.resourceUsage().maxRSS}\\n`))';
  const ran = await run(process.execPath, ['--import', tell, main, ...args]);
  return { ...ran, mebibytes: Number(/maxRSS (\d+)/.exec(ran.stderr)?.[1]) / 1024 };
}
