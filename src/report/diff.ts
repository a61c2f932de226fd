/** A difference between systems, as lines for people. */
import type { PackageChange, SystemDiff } from '../core/bundle/closure-diff.ts';
import { sizeText } from '../core/size.ts';

/** One line each, packages first. @param most lines for packages, and unit names, before the rest is counted */
export function describeDiff(diff: SystemDiff, most: number): string[] {
  const { packages, rebuilt, units, restart, sizeBefore, sizeAfter } = diff;
  const listed = packages.slice(0, most).map(describeChange);
  const rest = packages.length - listed.length;
  const growth = sizeAfter - sizeBefore;
  const sign = growth > 0 ? '+' : growth < 0 ? '−' : '±';
  return [
    ...listed,
    ...(rest > 0 ? [`and ${rest} more packages`] : []),
    ...(rebuilt > 0 ? [`${rebuilt} paths rebuilt or reconfigured at the same version`] : []),
    ...(units.length > 0 ? [`units: ${some(units, most)}`] : []),
    ...(restart.length > 0 ? [`takes effect after a restart: ${restart.join(', ')}`] : []),
    `size: ${sizeText(sizeBefore)} → ${sizeText(sizeAfter)} (${sign}${sizeText(Math.abs(growth))})`,
  ];
}

function some(names: readonly string[], most: number): string {
  const rest = names.length - most;
  return `${names.slice(0, most).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

function describeChange({ name, from, to }: PackageChange): string {
  const say = (all: readonly string[]) => all.map((v) => (v === '' ? 'no version' : v)).join(', ');
  if (from.length === 0) return `+ ${name}${to.join('') === '' ? '' : ` ${say(to)}`}`;
  if (to.length === 0) return `- ${name}${from.join('') === '' ? '' : ` ${say(from)}`}`;
  return `  ${name} ${say(from)} → ${say(to)}`;
}
