import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { checkout, documents, inAll, namesBelow, read } from './documents.ts';

const ours = readdirSync(join(checkout, 'src'));
const top = ['src', 'test', 'tools', 'scripts', 'bench', 'docs', 'systemd', 'nixos-module', 'nix', 'share'];
const first = new RegExp(`^(?:${[...top, ...ours].join('|')})/`);

/** In back quotes, with a slash, below a folder of ours. */
function pathsIn(text: string): string[] {
  return [...text.matchAll(/`([\w@./-]+\/[\w@./-]*)`/g)].flatMap(([, path = '']) =>
    first.test(path) ? [path] : [],
  );
}

/** As written, or as the documents shorten it: without `src/`, without the ending of a test. */
function isThere(path: string): boolean {
  return [path, join('src', path), `${path}.test.ts`, `${path}.vm.ts`].some((p) =>
    existsSync(join(checkout, p)),
  );
}

test('every file and folder of ours that a document names is there', () => {
  const named = inAll(pathsIn).map(({ document, text }) => ({ document, path: text }));
  assert.ok(named.length > 100);
  // Made by a run of the tests; and folders of a store, not ours.
  const others = /^test\/out\/|^test\/fuzz\/found\/|^nix\/(store|var)$/;
  assert.deepEqual(
    named.filter(({ path }) => !others.test(path) && !isThere(path)),
    [],
  );
});

test('every document that sources, units or the module name is there', () => {
  const files = [
    ...namesBelow('src', '.ts'),
    ...namesBelow('nixos-module', '.nix'),
    ...namesBelow('systemd', '.service'),
    ...namesBelow('systemd', '.path'),
  ];
  const named = files.flatMap((file) =>
    [...read(file).matchAll(/\bdocs\/[\w/-]+(?:\.\w+)?/g)].map(([path]) => ({ file, path })),
  );
  assert.ok(named.length > 15, `${named.length} names`);
  const decisions = readdirSync(join(checkout, 'docs/adr'));
  const isNamed = (path: string) =>
    existsSync(join(checkout, path)) ||
    decisions.some((name) => join('docs/adr', name).startsWith(`${path}-`));
  assert.deepEqual(
    named.filter(({ path }) => !isNamed(path)),
    [],
  );
});

/** As GitHub makes them of headings. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-');

test('every link from one document into another leads to a heading or a file that is there', () => {
  const wrong = documents.flatMap((document) =>
    [...read(document).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
      if (/^(?:https?|mailto):/.test(link)) return [];
      const [path = '', anchor] = link.split('#');
      const file = path === '' ? document : normalize(join(dirname(document), path));
      const isThere = existsSync(join(checkout, file));
      const headings = isThere && file.endsWith('.md') ? [...read(file).matchAll(/^#+ (.*)$/gm)] : [];
      const leads = anchor === undefined || headings.some(([, heading = '']) => anchorOf(heading) === anchor);
      return isThere && leads ? [] : [`${document}: ${link}`];
    }),
  );
  assert.deepEqual(wrong, []);
});

test('one that is not there would be found', () => {
  assert.deepEqual(pathsIn('see `src/no/such.ts`, `/var/lib/x`, `nixmaker/cache/`'), ['src/no/such.ts']);
  assert.equal(isThere('src/no/such.ts'), false);
});
