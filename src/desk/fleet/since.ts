/** `build --since`: what a target has already, told by a receipt of it, or by a bundle that it has taken. */
import { NixmakerError } from '../../core/errors.ts';
import type { Base } from '../build/assemble.ts';
import { inspectBundleFile } from '../keys/verify.ts';
import { readReceiptBase } from './receipts.ts';

export interface HostBase extends Base {
  readonly host: string;
}

/**
 * Nothing is verified: a base that the target does not have makes a bundle that it refuses (`base-missing`), no more.
 * @param hosts chosen by the operator; a base is one host's
 * @throws NixmakerError `usage`, `receipt-malformed`, or a bundle's own codes
 */
export async function readBase(file: string, hosts: readonly string[]): Promise<HostBase> {
  const base = file.endsWith('.json') ? await readReceiptBase(file) : await readBundleBase(file);
  const other = hosts.find((host) => host !== base.host);
  if (other === undefined) return base;
  throw new NixmakerError('usage', `${file} says what ${base.host} has, and ${other} is to be built`);
}

async function readBundleBase(file: string): Promise<HostBase> {
  const { manifest } = await inspectBundleFile(file);
  if (manifest.content !== 'closure')
    throw new NixmakerError('usage', `${file} holds recipes only, so it does not say what the target has`);
  return {
    host: manifest.host,
    toplevel: manifest.toplevel,
    paths: new Set(manifest.paths.map((p) => p.path)),
  };
}
