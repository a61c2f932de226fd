/** Hosts by name or by shell pattern: `*` stands for any characters, `?` for one. */

export function matchesHost(pattern: string, host: string): boolean {
  const parts = pattern.split(/([*?])/).map((part) => {
    if (part === '*') return '.*';
    return part === '?' ? '.' : part.replace(/[\\^$.|+()[\]{}]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('')}$`, 'su').test(host);
}

export interface ChosenHosts {
  /** In pattern order, each once. */
  readonly hosts: readonly string[];
  /** The first pattern that matches no host. */
  readonly missing: string | undefined;
}

/** @param patterns none: all hosts */
export function chooseHosts(known: readonly string[], patterns: readonly string[]): ChosenHosts {
  if (patterns.length === 0) return { hosts: known, missing: undefined };
  const found = patterns.map((pattern) => known.filter((host) => matchesHost(pattern, host)));
  return {
    hosts: [...new Set(found.flat())],
    missing: patterns.find((_, i) => found[i]?.length === 0),
  };
}
