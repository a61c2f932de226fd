/** Bundles at hand whose contents may repair a store path: on media, in carriers’ folders, and those the inbox has kept. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { OpenedBundle } from '../../bundle/contents.ts';
import { NixmakerError } from '../../core/errors.ts';
import { outcomeOf } from '../../core/outcome.ts';
import { type Candidate, doneFolder, listInbox } from '../../media/inbox.ts';
import type { SignedHashes } from '../machine/check-contents.ts';
import { requireContents } from '../machine/decision.ts';
import type { Machine } from '../machine/machine.ts';
import { listPlaces } from '../machine/places.ts';
import { Lookalikes } from '../update/lookalikes.ts';
import { accessTo } from '../update/medium-access.ts';
import { examine, sourceOf } from '../update/open.ts';
import { listCandidates } from './candidates.ts';

export interface Unusable {
  readonly file: string;
  readonly code: string;
  readonly detail: string;
}

/** Receives what can’t be used, and why: it holds up nothing else. */
export type OnUnusable = (found: Unusable) => void;

/** Present at all of the places the policy lets bundles be taken from. */
export async function candidatesAtHand(machine: Machine, onUnusable: OnUnusable): Promise<Candidate[]> {
  const { inbox } = machine.settings;
  const onFault = () => undefined;
  const kept = machine.policy.sources.inbox ? await listInbox(join(inbox, doneFolder), { onFault }) : [];
  const found = [...kept];
  for (const { root, isDangerous } of await listPlaces(machine))
    if (isDangerous !== true) found.push(...(await candidatesOn(machine, root, onUnusable)));
  return found;
}

/** What a person has named: a bundle, or a medium. @throws the system’s own error if there is no such file */
export async function candidatesNamed(
  machine: Machine,
  path: string,
  onUnusable: OnUnusable,
): Promise<readonly Candidate[]> {
  if ((await stat(path)).isDirectory()) return candidatesOn(machine, path, onUnusable);
  const format = path.toLowerCase().endsWith('.tar.gz') ? 'classic' : 'bundle';
  return [{ format, path }];
}

/** Newest sequences first in a pool. A place that does not respond is reported as such. */
async function candidatesOn(
  machine: Machine,
  root: string,
  onUnusable: OnUnusable,
): Promise<readonly Candidate[]> {
  const { withDeadline } = accessTo(machine, { onMedium: true, path: root });
  const looking = {
    withDeadline,
    lookalikes: new Lookalikes(),
    onFault: (file: string, { code, detail }: NixmakerError) => onUnusable({ file, code, detail }),
  };
  try {
    const { candidates } = await listCandidates(root, machine.policy.host, looking);
    return candidates.filter(({ misnamed }) => misnamed === undefined);
  } catch (error) {
    onUnusable({ file: root, ...outcomeOf(error) });
    return [];
  }
}

export interface AtHand {
  readonly file: string;
  readonly bundle: OpenedBundle;
  readonly close: () => Promise<void>;
}

/** Verified as for an installation, but for its age. @returns undefined if it can’t be used, which was told */
export async function openAtHand(
  machine: Machine,
  candidate: Candidate,
  onUnusable: OnUnusable,
): Promise<AtHand | undefined> {
  const file = candidate.path;
  try {
    if (candidate.format === 'classic')
      throw new NixmakerError(
        'not-a-bundle',
        'a classic tarball is no source for repairs: bring a bundle of format 2',
      );
    const examined = await examine(machine, sourceOf(candidate));
    const { verified, open, close } = examined;
    const opening = requireContents(machine, verified).then(open);
    const contents = await opening.catch(async (error: unknown) => {
      await close();
      throw error;
    });
    if (contents.kind === 'bundle') return { file, bundle: contents.bundle, close: () => examined.close() };
    await examined.close();
    return undefined;
  } catch (error) {
    onUnusable({ file, ...outcomeOf(error) });
    return undefined;
  }
}

/** What their indexes say of each path. */
export function signedHashesIn(all: readonly Pick<AtHand, 'bundle'>[]): SignedHashes {
  const hashes = new Map<string, string[]>();
  for (const { bundle } of all)
    for (let line = 0; line < bundle.index.length; line++) {
      const { path, narHash } = bundle.index.line(line);
      const known = hashes.get(path);
      if (known === undefined) hashes.set(path, [`sha256:${narHash}`]);
      else if (!known.includes(`sha256:${narHash}`)) known.push(`sha256:${narHash}`);
    }
  return hashes as unknown as SignedHashes;
}
