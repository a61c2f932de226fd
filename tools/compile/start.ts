#!/usr/bin/env node
/** Becomes NAME.cjs: runs NAME.code.cjs beside it. */
import { readFileSync } from 'node:fs';
import { keptFile, readProgram } from './code.ts';

const name = __filename.slice(0, -'.cjs'.length);

function readKept(): Buffer | undefined {
  try {
    return readFileSync(keptFile(name));
  } catch {
    return undefined;
  }
}

readProgram(name, readKept()).run();
