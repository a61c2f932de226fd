/** The documents as a site: the same files that are read on GitHub, README first, with a search that runs in the browser. */
import { readdirSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vitepress';

const checkout = new URL('../../../', import.meta.url).pathname;

/** As its first heading says. */
const titleOf = (path) => /^# (.*)$/m.exec(readFileSync(`${checkout}${path}`, 'utf8'))?.[1] ?? path;
const page = (path, text = titleOf(path)) => ({ text, link: `/${path.replace(/\.md$/, '')}` });
const decisions = readdirSync(`${checkout}docs/adr`)
  .filter((name) => name.endsWith('.md'))
  .sort()
  .map((name) => page(`docs/adr/${name}`));

export default defineConfig({
  title: 'nixmaker',
  description: 'Updates for NixOS machines that no network can reach',
  // Copied there by scripts/site: pages are compiled, and find the compiler's packages only from below them.
  srcDir: 'pages',
  outDir: `${checkout}site`,
  cacheDir: `${checkout}tools/site/node_modules/.cache`,
  rewrites: { 'README.md': 'index.md' },
  // Folders and files that aren’t pages: they are read in a checkout.
  ignoreDeadLinks: [/\/docs\/adr\/(?:index)?$/, /\/(?:share|scripts|tools)\//, /\.(?:json|yml|ts)$/],
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    sidebar: [
      {
        text: 'Start',
        items: [
          page('README.md', 'What it is'),
          page('docs/tutorial.md'),
          page('docs/examples.md'),
          page('docs/how-to.md'),
        ],
      },
      {
        text: 'Run it',
        items: ['checklist', 'card', 'secrets', 'operations', 'recovery'].map((name) =>
          page(`docs/${name}.md`),
        ),
      },
      {
        text: 'Look it up',
        items: ['commands', 'policy', 'options', 'codes', 'json/README', 'glossary'].map((name) =>
          page(`docs/${name}.md`),
        ),
      },
      {
        text: 'How it works',
        items: ['architecture', 'threat-model', 'attacks', 'format', 'performance'].map((name) =>
          page(`docs/${name}.md`),
        ),
      },
      { text: 'Decisions', collapsed: true, items: decisions },
      {
        text: 'The project',
        items: ['CHANGELOG', 'CONTRIBUTING', 'SECURITY'].map((name) => page(`${name}.md`)),
      },
    ],
  },
});
