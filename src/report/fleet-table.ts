/** The fleet page’s table, its filter, and the links to each condition. None of them needs a script. */
import { outcomeText } from '../core/run/state-words.ts';
import { sizeText } from '../core/size.ts';
import {
  type Condition,
  conditions,
  conditionWords,
  goodStates,
  type Judgement,
  type PageHost,
  type PageRun,
} from './fleet-condition.ts';
import { ago, badge, text, unknown } from './fleet-html.ts';

export interface Row extends Judgement {
  readonly host: PageHost;
}

/** After a number. */
export const countWords = (condition: Condition, count: number): string =>
  condition === 'unwell' && count !== 1 ? 'need attention' : conditionWords[condition];

const countOf = (rows: readonly Row[], condition: Condition): number =>
  rows.filter((row) => row.condition === condition).length;

/** How many hosts are in each condition; each number links to them. */
export function summary(rows: readonly Row[]): string {
  const items = conditions.map((condition) => {
    const count = countOf(rows, condition);
    const words = `<b>${count}</b> ${countWords(condition, count)}`;
    return `<li class="${condition}">${count === 0 ? words : `<a href="#are-${condition}">${words}</a>`}</li>`;
  });
  return `<ul class="summary" aria-label="Hosts by condition">${items.join('')}</ul>`;
}

/**
 * Radio buttons that the style sheet reacts to (`:has()`, Selectors Level 4). A browser that does not know it shows all hosts.
 * @returns nothing if there is nothing to choose
 */
export function filter(rows: readonly Row[]): string {
  const present = conditions.filter((condition) => countOf(rows, condition) > 0);
  if (present.length < 2) return '';
  const choice = (id: string, words: string, checked = '') =>
    `<input type="radio" name="show" id="show-${id}"${checked}><label for="show-${id}">${words}</label>`;
  const choices = present.map((condition) => choice(condition, conditionWords[condition]));
  return `<fieldset class="filter"><legend>Show</legend>${choice('all', 'all', ' checked')}${choices.join('')}</fieldset>\n`;
}

/** For each condition: when it is chosen, the others are hidden. */
export const filterStyle = conditions
  .map(
    (condition) =>
      `body:has(#show-${condition}:checked) :is(tbody, details):not(.are-${condition}) { display: none; }\n`,
  )
  .join('');

const heads = ['Host', 'Condition', 'Why', 'Release', 'Floor', 'Last run', 'Free', 'Seen', 'Runs'];

export function hostsTable(rows: readonly Row[], now: Date): string {
  if (rows.length === 0) return '<p>No hosts yet: no receipts have been collected.</p>';
  const bodies = conditions.flatMap((condition) => {
    const of = rows.filter((row) => row.condition === condition);
    if (of.length === 0) return [];
    const id = `are-${condition}`;
    return [`<tbody class="${id}" id="${id}">\n${of.map((row) => tableRow(row, now)).join('\n')}\n</tbody>`];
  });
  return `<div class="scroll" role="region" aria-labelledby="table-title" tabindex="0">
<table><caption id="table-title">Hosts, those needing attention first</caption>
<thead><tr>${heads.map((h) => `<th scope="col">${h}</th>`).join('')}</tr></thead>
${bodies.join('\n')}
</table></div>`;
}

function tableRow({ host, condition, reasons }: Row, now: Date): string {
  const last = host.runs.at(-1);
  const cells: readonly (readonly [string, string?])[] = [
    [badge(condition)],
    [reasons.length === 0 ? '–' : text(reasons.join(' ')), 'why'],
    [releaseCell(host)],
    [text(host.floor)],
    [last === undefined ? (host.heard ? 'none' : unknown) : text(outcomeText(last))],
    [host.freeBytes === undefined ? unknown : text(sizeText(host.freeBytes)), 'free'],
    [ago(host.collected, now)],
    [trend(host.runs), 'runs'],
  ];
  const name = `<th scope="row"><a href="#host-${text(host.host)}">${text(host.host)}</a></th>`;
  const rest = cells.map(
    ([cell, kind], i) =>
      `<td${kind === undefined ? '' : ` class="${kind}"`} data-label="${heads[i + 1]}">${cell}</td>`,
  );
  return `<tr>${name}${rest.join('')}</tr>`;
}

/** The number nixmaker goes by, and the name people know it by. */
function releaseCell({ release, versions }: PageHost): string {
  const name = versions.nixos === undefined ? '' : ` <small>${text(versions.nixos)}</small>`;
  return `<span>${text(release)}${name}</span>`;
}

/** The last runs as bars, newest on the right: tall and filled went well, short and hollow did not. */
function trend(runs: readonly PageRun[]): string {
  const shown = runs.slice(-10);
  if (shown.length === 0) return '–';
  const well = shown.filter((r) => goodStates.has(r.state)).length;
  const bars = shown.map((run, i) => {
    const ok = goodStates.has(run.state);
    return `<rect class="${ok ? 'ok' : 'no'}" x="${i * 8 + 1}" y="${ok ? 1 : 9}" width="5" height="${ok ? 14 : 6}"/>`;
  });
  return `<svg class="trend" role="img" aria-label="${well} of the last ${shown.length} runs succeeded" viewBox="0 0 80 16" width="80" height="16">${bars.join('')}</svg>`;
}
