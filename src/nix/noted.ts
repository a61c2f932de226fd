/** What Nix has noted of valid paths. */
import type { StorePath } from '../core/store-path.ts';
import { classicNix, type NixContext } from './command.ts';

/** A command line has an end. */
const portion = 1000;

async function query(context: NixContext, what: string, paths: readonly StorePath[]): Promise<string[]> {
  const lines: string[] = [];
  for (let start = 0; start < paths.length; start += portion) {
    const args = ['--query', what, ...paths.slice(start, start + portion)];
    const out = await classicNix(context, { program: 'nix-store', args });
    lines.push(...out.split('\n').filter((line) => line !== ''));
  }
  return lines;
}

/** In the paths’ order: `sha256:` and base 32, as narinfos have it. */
export const narHashesOf = (context: NixContext, paths: readonly StorePath[]): Promise<string[]> =>
  query(context, '--hash', paths);

/** In the paths’ order, in bytes. */
export const narSizesOf = async (context: NixContext, paths: readonly StorePath[]): Promise<number[]> =>
  (await query(context, '--size', paths)).map(Number);
