/**
 * How much of the large matrices (killed processes, power cuts) is run: `sample`, where nothing else is said, has every
 * state and both sides of each change to the machine; `NIXMAKER_CASES=all` has every combination, as before a release.
 */
export const allCases = process.env.NIXMAKER_CASES === 'all';
if (!['all', 'sample', undefined].includes(process.env.NIXMAKER_CASES))
  throw new Error(`NIXMAKER_CASES=${process.env.NIXMAKER_CASES}: it can be "all" or "sample"`);

/** One in so many, from a start that moves along with the row, so that each value of every column is met. */
export function inSample(row: number, column: number, columns: number): boolean {
  return allCases || row % columns === column;
}
