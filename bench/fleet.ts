/** A fleet’s receipts on a stick: collected for the first time and again, shown, and as a page; seconds and memory. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { committed, install, lay, measured, nowOf } from '../test/support/receipts.ts';
import { must } from './system.ts';

export interface Measured {
  readonly seconds: number;
  readonly mebibytes: number;
}

export interface FleetFigures {
  readonly hosts: number;
  /** For each host on the stick. */
  readonly receipts: number;
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
  const measure = async (...args: readonly string[]): Promise<Measured> => {
    const started = performance.now();
    const ran = await measured(...args, '-d', fleet);
    must(ran);
    return { seconds: (performance.now() - started) / 1000, mebibytes: ran.mebibytes };
  };
  const figures = {
    hosts,
    receipts,
    collect: await measure('collect', medium, '--enrol'),
    again: await measure('collect', medium),
    show: await measure('fleet'),
    page: await measure('fleet', '--html', join(place, 'fleet.html')),
  };
  for (const folder of [medium, fleet]) await rm(folder, { recursive: true, force: true });
  return figures;
}
