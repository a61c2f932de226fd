/**
 * A fleet’s receipts on a stick: collected for the first time and again, shown, and as a page; seconds and memory. The floor: each of them
 * read, parsed, and its signature verified.
 */
import { verify } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hostReceiptType } from '../src/core/run/host-receipt.ts';
import { parsePublicKey } from '../src/signing/nix-key.ts';
import { preAuthenticationEncoding } from '../src/signing/pae.ts';
import { committed, install, lay, measured, nowOf } from '../test/support/receipts.ts';
import { must, seconds } from './system.ts';

export interface Measured {
  readonly seconds: number;
  readonly mebibytes: number;
}

export interface FleetFigures {
  readonly hosts: number;
  /** For each host on the stick. */
  readonly receipts: number;
  /** Seconds. */
  readonly floor: number;
  readonly collect: Measured;
  readonly again: Measured;
  readonly show: Measured;
  readonly page: Measured;
}

export async function measureFleet(
  place: string,
  { hosts, receipts }: { readonly hosts: number; readonly receipts: number },
): Promise<FleetFigures> {
  const [medium, fleet] = [join(place, 'receipts'), join(place, 'fleet-folder')];
  await mkdir(medium);
  for (let i = 0; i < hosts; i++) {
    const machine = install(`h${i}`);
    const numbers = Array.from({ length: receipts }, (_, n) => n + 1);
    const files = numbers.map((number) => {
      const fields = { number, run: committed(number), now: nowOf(number, number) };
      return [`${number}.json`, machine.sign(fields)] as const;
    });
    await lay(medium, `h${i}`, Object.fromEntries(files));
  }
  const floor = await seconds(async () => readEach(join(medium, 'nixmaker/receipts')));
  const measure = async (...args: readonly string[]): Promise<Measured> => {
    const started = performance.now();
    const ran = await measured(...args, '-d', fleet);
    must(ran);
    return { seconds: (performance.now() - started) / 1000, mebibytes: ran.mebibytes };
  };
  const figures = {
    hosts,
    receipts,
    floor,
    collect: await measure('collect', medium, '--enrol'),
    again: await measure('collect', medium),
    show: await measure('fleet'),
    page: await measure('fleet', '--html', join(place, 'fleet.html')),
  };
  for (const folder of [medium, fleet]) await rm(folder, { recursive: true, force: true });
  return figures;
}

function readEach(folder: string): void {
  for (const host of readdirSync(folder))
    for (const name of readdirSync(join(folder, host))) {
      const { payload, signatures } = JSON.parse(readFileSync(join(folder, host, name), 'utf8')) as {
        payload: string;
        signatures: { sig: string }[];
      };
      const bytes = Buffer.from(payload, 'base64');
      const { hostKey } = JSON.parse(bytes.toString('utf8')) as { hostKey: string };
      const signature = Buffer.from(signatures[0]?.sig ?? '', 'base64');
      const signed = preAuthenticationEncoding(bytes, hostReceiptType);
      if (!verify(null, signed, parsePublicKey(hostKey).key, signature)) throw new Error(name);
    }
}
