/** The attacks of test/attacks/, one file each: for the suite, and for the table in docs/. */
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { checkout } from '../machines/program.ts';
import type { Attack } from './forge.ts';

export const attackCategories = ['archive', 'signature', 'metadata', 'index', 'contents', 'replay'] as const;

export interface NamedAttack extends Attack {
  readonly name: string;
  readonly category: (typeof attackCategories)[number];
}

export async function readAttacks(): Promise<NamedAttack[]> {
  const attacks: NamedAttack[] = [];
  for (const category of attackCategories) {
    const folder = join(checkout, 'test/attacks', category);
    for (const file of (await readdir(folder)).sort()) {
      const { default: attack } = (await import(join(folder, file))) as { default: Attack };
      attacks.push({ ...attack, category, name: basename(file, '.ts') });
    }
  }
  return attacks;
}
