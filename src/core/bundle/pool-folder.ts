/** Our folder at the root of a medium (docs/format.md §5). Everything else on it belongs to somebody else. */
export const poolFolder = 'nixmaker';
