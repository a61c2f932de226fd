/** Loaded before a test: replaces one of the sources with a version that is changed in one place. */
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';

interface Change {
  readonly path: string;
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}

const { path, start, end, replacement } = JSON.parse(process.env.NIXMAKER_MUTANT ?? '{}') as Change;
const changed = pathToFileURL(path).href;

registerHooks({
  load: (url, context, next) => {
    const loaded = next(url, context);
    if (url !== changed) return loaded;
    const text = String(loaded.source);
    return { ...loaded, source: text.slice(0, start) + replacement + text.slice(end) };
  },
});
