/**
 * keep.ts NAME LAYOUT CALLS: runs the program with each of the calls, a JSON array of arguments, one after another, and keeps what
 * V8 has compiled by then. LAYOUT: JSON as well.
 */
import { writeFileSync, writeSync } from 'node:fs';
import { kept, keptFile, type Layout, readProgram } from './code.ts';
import { joinKept } from './kept.ts';

const [node = '', , name = '', layoutText = '{}', calls = '[]'] = process.argv;
const left = JSON.parse(calls) as string[][];
const layout = JSON.parse(layoutText) as Layout;
const { scripts, run } = readProgram(name, layout, () => undefined, require);

/** A call may fail; a program that can’t even begin is not worth keeping. */
let isBroken = false;

function runNext(): void {
  const next = left.shift();
  if (next === undefined) return;
  process.argv = [node, `${name}.cjs`, ...next];
  isBroken = true;
  run();
  isBroken = false;
}

process.on('beforeExit', runNext);
process.on('exit', () => {
  if (isBroken) return;
  const codes = layout.places.map((_, chunk) => scripts.get(chunk)?.createCachedData());
  writeFileSync(keptFile(name), joinKept(codes, layout.stamp));
  writeSync(process.stdout.fd, kept);
});
runNext();
