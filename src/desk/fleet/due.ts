/** Which of the bundles to be put belong to hosts whose turn has come. */
import { openSignedBundle } from '../keys/signed-bundle.ts';
import { readRings, readTurns } from './rings.ts';

export interface LeftOut {
  readonly host: string;
  /** Undefined if no ring names it. */
  readonly ring: string | undefined;
  readonly why: string;
}

export interface Due {
  readonly bundles: readonly string[];
  readonly leftOut: readonly LeftOut[];
}

/**
 * All of them if the fleet has no rings. Each is compared with the others given: the previous ring’s must be among them.
 * @throws NixmakerError `usage` if the rings can’t be read, or a bundle’s own codes
 */
export async function chooseDue(directory: string, bundles: readonly string[]): Promise<Due> {
  const rings = await readRings(directory);
  if (rings === undefined) return { bundles, leftOut: [] };
  const hosts = new Map<string, string>();
  const sequences = new Map<string, number>();
  for (const path of bundles) {
    const { file, authenticated } = await openSignedBundle(path);
    await file.close();
    const { host, sequence } = authenticated.authentic.manifest;
    hosts.set(path, host);
    sequences.set(host, Math.max(sequence, sequences.get(host) ?? 0));
  }
  const turns = await readTurns(rings, { directory, sequences, now: new Date() });
  const leftOut = [...turns].flatMap(([host, turn]) =>
    turn.isDue ? [] : [{ host, ring: turn.ring, why: turn.why }],
  );
  const waits = new Set(leftOut.map(({ host }) => host));
  return { bundles: bundles.filter((path) => !waits.has(hosts.get(path) ?? '')), leftOut };
}
