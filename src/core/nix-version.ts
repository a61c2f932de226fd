/** Names and versions as Nix takes them apart and compares them (Nix src/libstore/names.cc). Pure. */

/** `openssl-3.0.14-bin` → `openssl`, `3.0.14-bin`: the version begins after the first dash that no letter follows. */
export function splitDrvName(name: string): { readonly name: string; readonly version: string } {
  const dash = /-(?![A-Za-z])(?=.)/.exec(name)?.index;
  return dash === undefined
    ? { name, version: '' }
    : { name: name.slice(0, dash), version: name.slice(dash + 1) };
}

/** Runs of digits, and of anything else, between dots and dashes. */
const componentsOf = (version: string): string[] => version.match(/[0-9]+|[^0-9.-]+/g) ?? [];

const isNumber = (component: string | undefined): component is string =>
  component !== undefined && /^[0-9]+$/.test(component);

/** Whether the first comes before the second; undefined is the end of a version. */
function isLess(one: string | undefined, other: string | undefined): boolean {
  if (isNumber(one) && isNumber(other)) return BigInt(one) < BigInt(other);
  if ((one ?? '') === '' && isNumber(other)) return true;
  if (one === 'pre' && other !== 'pre') return true;
  if (other === 'pre') return false;
  if (isNumber(other)) return true;
  if (isNumber(one)) return false;
  return (one ?? '') < (other ?? '');
}

/** Negative if the first is older, positive if it is newer, 0 if they count as the same (`1.0` and `1-0`). */
export function compareVersions(one: string, other: string): number {
  const [ones, others] = [componentsOf(one), componentsOf(other)];
  for (let i = 0; i < Math.max(ones.length, others.length); i++) {
    if (isLess(ones[i], others[i])) return -1;
    if (isLess(others[i], ones[i])) return 1;
  }
  return 0;
}
