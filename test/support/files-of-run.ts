/** files-of-run.ts PATTERN: prints the test files of this run, and on standard error how many are left to other runs. */
import { globSync } from 'node:fs';
import { turns } from './cases.ts';
import { filesOfRun } from './slow-files.ts';

const all = globSync(process.argv[2] ?? 'test/**/*.test.ts').sort();
const mine = filesOfRun(all);
if (mine.length === 0) throw new Error('there are no tests here');
const others = all.length - mine.length;
if (others > 0)
  process.stderr.write(
    `turn ${process.env.NIXMAKER_TURN} of 0 to ${turns - 1}: ${others} slow files are left to the other turns; NIXMAKER_TURN=all has all\n`,
  );
process.stdout.write(`${mine.join('\n')}\n`);
