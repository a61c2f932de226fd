/** Mounts a newly plugged-in medium if the policy says so. Its unit unmounts it. */
import { reasonNotToMount } from '../../core/policy/medium.ts';
import { whyInUse } from '../../media/in-use.ts';
import { mountMedium, probeDevice } from '../../media/mount.ts';
import { isAllowedSource, listMounts } from '../../media/mounts.ts';
import type { Machine } from '../machine/machine.ts';
import { sayOnConsole } from './console.ts';

/** @param name of the device below /dev @throws NixmakerError `io-error` */
export async function mountByPolicy(
  { run, policy, settings, emit }: Pick<Machine, 'run' | 'policy' | 'settings' | 'emit'>,
  name: string,
): Promise<void> {
  const device = `/dev/${name}`;
  const found = await probeDevice(run, device);
  const { fileSystem } = found;
  const { directory, writeDirectory, roots } = settings.media;
  const because =
    reasonNotToMount(policy.media, found) ??
    (await whyInUse(name, { mounts: await listMounts(run), ours: [directory, writeDirectory, ...roots] }));
  if (because !== undefined || fileSystem === undefined) {
    emit({ event: 'medium-left-alone', device, because });
    return;
  }
  const mounting = mountMedium(run, { device, name, fileSystem, directory });
  const target = await mounting.catch(async (error: unknown) => {
    await sayOnConsole(`The medium at ${name} cannot be read. Use another one.`);
    throw error;
  });
  const isSource = await isTaken({ run, policy }, target);
  // Tells the person who plugged it in that something is happening; what came of it is announced when it may be removed. The agent does not
  // look at it otherwise.
  await sayOnConsole(
    isSource
      ? 'Reading the medium. Leave it in until this screen says you may remove it.'
      : 'This machine’s policy takes nothing from this medium. You may remove it.',
  );
  emit({ event: 'medium-mounted', device, target, isSource, ...found });
}

async function isTaken({ run, policy }: Pick<Machine, 'run' | 'policy'>, target: string): Promise<boolean> {
  const mount = (await listMounts(run)).findLast((m) => m.target === target);
  return mount === undefined ? policy.sources.media : isAllowedSource(mount, policy.sources);
}
