/** Guards against carrying along what belongs to others or should stay private (core/bundle/leaks.ts). */
import { findLeaks, type Leak, type LeakQuestion } from '../../core/bundle/leaks.ts';
import { NixmakerError } from '../../core/errors.ts';

/** @throws NixmakerError `source-in-closure` if the operator forbade it */
export function guardLeaks({
  isForbidden,
  ...question
}: LeakQuestion & { readonly isForbidden: boolean }): Leak[] {
  const leaks = findLeaks(question);
  if (leaks.length > 0 && isForbidden)
    throw new NixmakerError('source-in-closure', leaks.map(describeLeak).join('; '));
  return leaks;
}

export function describeLeak({ kind, path, chain }: Leak): string {
  const what = kind === 'source' ? 'the flake’s own source' : 'another host’s system';
  return `the bundle contains ${what}, ${path}, because of ${chain.join(' → ')}`;
}
