/**
 * How much of the large matrices (killed processes, power cuts) is run: `sample`, where nothing else is said, has every
 * state and each change to the machine; `NIXMAKER_CASES=all` has every combination, as before a release.
 */
export const allCases = process.env.NIXMAKER_CASES === 'all';
if (!['all', 'sample', undefined].includes(process.env.NIXMAKER_CASES))
  throw new Error(`NIXMAKER_CASES=${process.env.NIXMAKER_CASES}: it can be "all" or "sample"`);

/** One in so many, from a start that moves along with the row, so that each value of every column is met. */
export function inSample(row: number, column: number, columns: number): boolean {
  return allCases || row % columns === column;
}

/** Tests of which each run has one in so many take turns. tools/set-up/run-tests.sh counts to it. */
export const turns = 4;

const named = allCases ? 'all' : (process.env.NIXMAKER_TURN ?? '0');
if (named !== 'all' && !/^[0-3]$/.test(named))
  throw new Error(`NIXMAKER_TURN=${named}: it can be 0, 1, 2, 3 or "all"`);

/** Whose turn it is; the commit says (tools/set-up/run-tests.sh), or NIXMAKER_TURN. @returns whether the one with this number is in */
export const isItsTurn = (i: number, turn = named): boolean => turn === 'all' || i % turns === Number(turn);
