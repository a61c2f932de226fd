/** The folder of ours at the root of a medium (docs/format.md §5). Everything else on it is somebody else’s. */
export const poolFolder = 'nixmaker';
