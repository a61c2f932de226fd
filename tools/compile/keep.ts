/**
 * keep.ts NAME CALLS: runs the program with each of the calls, a JSON array of arguments, one after another, and keeps what
 * V8 has compiled by then.
 */
import { writeFileSync, writeSync } from 'node:fs';
import { kept, keptFile, readProgram } from './code.ts';

const [node = '', , name = '', calls = '[]'] = process.argv;
const left = JSON.parse(calls) as string[][];
const { script, run } = readProgram(name);

function runNext(): void {
  const next = left.shift();
  if (next === undefined) return;
  process.argv = [node, `${name}.cjs`, ...next];
  run();
}

process.on('beforeExit', runNext);
process.on('exit', () => {
  writeFileSync(keptFile(name), script.createCachedData());
  writeSync(process.stdout.fd, kept);
});
runNext();
