/** The figures as tables and a chart, for a terminal and for docs/performance.md. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkout } from '../test/machines/program.ts';
import {
  memoryTable,
  noticeTable,
  packTable,
  poolTable,
  realSizeTable,
  releasesTable,
  restTable,
} from './more-tables.ts';
import { hostsTable, nextTable } from './next-tables.ts';
import { type Figures, type PartName, partNames } from './parts.ts';
import { fleetTable, importsTables, monthsTable, scaleTable } from './tables.ts';

type Tables = { readonly [N in PartName]?: (figures: NonNullable<Figures[N]>) => string };

/** In the order of the document. */
const tables = {
  pack: packTable,
  next: nextTable,
  hosts: hostsTable,
  imports: importsTables,
  releases: releasesTable,
  memory: memoryTable,
  rest: restTable,
  pool: poolTable,
  notice: noticeTable,
  realSize: realSizeTable,
  scale: scaleTable,
  fleet: fleetTable,
  months: monthsTable,
} satisfies Required<Tables>;

/** Without its months if the packages can’t be had. */
export const isWhole = ({ took }: Figures): boolean => partNames.every((name) => took[name] !== undefined);

export function renderTables(figures: Figures): string {
  const tableOf = <N extends PartName>(name: N) => {
    const of = figures[name];
    return of === undefined ? [] : [(tables as Tables)[name]?.(of as NonNullable<Figures[N]>) ?? ''];
  };
  const { quick, repeats } = figures;
  const head = `Medians are of ${repeats}${quick ? ': a quick run, which says little' : ''}.\n`;
  return [head, ...(Object.keys(tables) as PartName[]).flatMap(tableOf)].join('\n');
}

/** Bars of seconds; the same picture for those who read and those who look. */
function renderChart({ pack, imports }: Pick<Required<Figures>, 'pack' | 'imports'>): string {
  const bars = [
    ['build, nixmaker', pack.build, '#1f6feb'],
    ['build, classic', pack.classicBuild, '#8b949e'],
    ['import, nixmaker', imports.importOnly, '#1f6feb'],
    ['import, nix copy file://', imports.plain, '#8b949e'],
    ['import, classic', imports.classic, '#8b949e'],
  ] as const;
  const longest = Math.max(...bars.map(([, seconds]) => seconds));
  const width = 420;
  const text = bars.map(([name, seconds]) => `${name} ${seconds.toFixed(1)} s`).join(', ');
  const rows = bars.map(([name, seconds, colour], i) => {
    const y = 10 + i * 30;
    const length = Math.max(1, (width * seconds) / longest);
    return `<text x="170" y="${y + 15}" text-anchor="end">${name}</text><rect x="180" y="${y}" width="${length.toFixed(0)}" height="20" fill="${colour}"/><text x="${(186 + length).toFixed(0)}" y="${y + 15}">${seconds.toFixed(1)} s</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 165" font-family="sans-serif" font-size="13" role="img" aria-labelledby="t d">
<title id="t">Time to pack and to import a system of ${pack.paths} paths</title><desc id="d">${text}</desc>
<rect width="680" height="165" fill="#ffffff"/>
${rows.join('\n')}
</svg>
`;
}

const begin = '<!-- figures: begin; written by npm run bench -->';
const end = '<!-- figures: end -->';

/** @param figures of a whole run */
export async function writeReport(figures: Figures): Promise<void> {
  const { pack, imports } = figures;
  if (pack === undefined || imports === undefined) throw new Error('the chart needs both');
  const path = join(checkout, 'docs/performance.md');
  const text = await readFile(path, 'utf8');
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < 0) throw new Error(`${path} has no place for the figures`);
  const before = text.slice(0, from + begin.length);
  await writeFile(path, `${before}\n\n${renderTables(figures)}\n${text.slice(to)}`);
  await writeFile(join(checkout, 'docs/performance.svg'), renderChart({ pack, imports }));
}
