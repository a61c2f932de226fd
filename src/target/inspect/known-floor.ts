/** The floor for people, who may ask even if the policy can’t be read. */
import type { Settings } from '../../core/policy/settings.ts';
import { readPolicy } from '../../state/config.ts';
import { type KnownFloor, readKnownFloor } from '../machine/floor.ts';
import { floorDirectoryOf } from '../machine/machine.ts';

export async function readFloorHere(settings: Settings): Promise<KnownFloor> {
  const policy = await readPolicy(settings.policyFile, process.getuid?.() ?? 0).catch(() => undefined);
  return readKnownFloor({ floorDirectory: floorDirectoryOf(settings), settings, policy });
}
