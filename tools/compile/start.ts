#!/usr/bin/env node
/** Becomes NAME.cjs: runs NAME.code.cjs beside it. */
import { openSync } from 'node:fs';
import { keptFile, type Layout, readProgram } from './code.ts';
import { KeptCode } from './kept.ts';

/** Put in by main.ts. */
declare const __layout: Layout;

const name = __filename.slice(0, -'.cjs'.length);

function openKept(): KeptCode | undefined {
  try {
    return new KeptCode(openSync(keptFile(name), 'r'), __layout.places.length, __layout.stamp);
  } catch {
    return undefined;
  }
}

const kept = openKept();
readProgram(name, __layout, (chunk) => kept?.of(chunk), require).run();
