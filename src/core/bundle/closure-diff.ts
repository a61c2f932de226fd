/** What differs between two systems: packages by name and version, and sizes. Pure. */

import { nameOf, type StorePath } from '../store-path.ts';
import { type Sized, stemOf } from './predecessor.ts';

export interface PackageChange {
  readonly name: string;
  /** Empty if the name was absent; a version is empty if the name has none. */
  readonly from: readonly string[];
  readonly to: readonly string[];
}

export interface ClosureDiff {
  /** Changed versions, new names, removed names; by name. */
  readonly packages: readonly PackageChange[];
  /** Paths that changed under the same name and version: rebuilt, or reconfigured. */
  readonly rebuilt: number;
  /** Bytes of all paths' NARs. */
  readonly sizeBefore: number;
  readonly sizeAfter: number;
}

/** `openssl-3.0.14-bin` → `3.0.14`; `etc` → `` (compare `stemOf`). */
function versionOf(path: StorePath): string {
  const parts = nameOf(path).split('-');
  return parts.filter((part, i) => i > 0 && /^[0-9]/.test(part)).join('-');
}

export function diffClosures(before: readonly Sized[], after: readonly Sized[]): ClosureDiff {
  const old = new Set(before.map((p) => p.path));
  const versionsBefore = versions(before);
  const versionsAfter = versions(after);
  const names = [...new Set([...versionsBefore.keys(), ...versionsAfter.keys()])].sort();
  const packages = names.flatMap((name): PackageChange[] => {
    const from = versionsBefore.get(name) ?? [];
    const to = versionsAfter.get(name) ?? [];
    return from.join(' ') === to.join(' ') && from.length === to.length ? [] : [{ name, from, to }];
  });
  const changed = new Set(packages.map((p) => p.name));
  const size = (paths: readonly Sized[]) => paths.reduce((sum, p) => sum + p.narSize, 0);
  return {
    packages,
    rebuilt: after.filter((p) => !old.has(p.path) && !changed.has(stemOf(p.path))).length,
    sizeBefore: size(before),
    sizeAfter: size(after),
  };
}

function versions(paths: readonly Sized[]): Map<string, string[]> {
  const found = new Map<string, Set<string>>();
  for (const { path } of paths) {
    const name = stemOf(path);
    const known = found.get(name);
    if (known === undefined) found.set(name, new Set([versionOf(path)]));
    else known.add(versionOf(path));
  }
  return new Map([...found].map(([name, all]) => [name, [...all].sort()]));
}

/** What else differs in a system besides its packages. */
export interface SystemDiff extends ClosureDiff {
  /** systemd unit files whose contents differ, or that are new or gone. */
  readonly units: readonly string[];
  /** What only takes effect after a restart: `kernel`, `initrd`, `kernel-modules`, `kernel-params`. */
  readonly restart: readonly string[];
}
