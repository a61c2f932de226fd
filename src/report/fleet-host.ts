/** The part of the fleet page about one host: its condition and why, what to do, and its time line. */
import { catalogue } from '../core/catalogue.ts';
import { outcomeText } from '../core/run/state-words.ts';
import { goodStates, type PageHost, type PageRun } from './fleet-condition.ts';
import { badge, text, unknown } from './fleet-html.ts';
import type { Row } from './fleet-table.ts';

const shownRuns = 20;

export function details({ host: page, condition, reasons }: Row): string {
  const list = rowsOf(page, reasons).flatMap(([label, value]) =>
    value === undefined || value === '' ? [] : [`<dt>${label}</dt><dd>${text(value)}</dd>`],
  );
  const open = condition === 'unwell' || condition === 'unknown' ? ' open' : '';
  const summary = `<summary>${text(page.host)} ${badge(condition)}</summary>`;
  return `<details class="are-${condition}" id="host-${text(page.host)}"${open}>${summary}<dl>${list.join('')}</dl>${timeLine(page.runs)}${claims(page.agentSays)}</details>`;
}

function rowsOf(
  { ring, runs, detail, versions, failedUnits = [], facts = [], collected, at, former }: PageHost,
  reasons: readonly string[],
): readonly (readonly [string, string | undefined])[] {
  const last = runs.at(-1);
  const entry =
    last?.code !== undefined && Object.hasOwn(catalogue, last.code)
      ? catalogue[last.code as keyof typeof catalogue]
      : undefined;
  return [
    ['Why', reasons.join(' ')],
    ['Ring', ring],
    ['What happened', entry?.what],
    ['Detail', detail],
    ['Next', entry?.next],
    ['Failed units', failedUnits.join(', ')],
    ['NixOS', versions.nixos],
    ['Kernel', versions.kernel],
    ['nixmaker', versions.nixmaker],
    ...facts,
    ['Collected', collected ?? unknown],
    ['Host’s clock', at],
    ['Replaced', former.join('; ')],
  ];
}

/** What became of releases there, newest first, by the host’s own clock. */
function timeLine(runs: readonly PageRun[]): string {
  if (runs.length === 0) return '';
  const items = runs
    .slice(-shownRuns)
    .reverse()
    .map((run) => {
      const release =
        run.sequence === undefined
          ? ''
          : `, release ${text(run.sequence)}${run.name === undefined ? '' : ` <small>${text(run.name)}</small>`}`;
      const when = `<time>${text(run.at.slice(0, 16).replace('T', ' '))}</time>`;
      return `<li class="${goodStates.has(run.state) ? 'ok' : 'no'}">${when} ${text(outcomeText(run))}${release}</li>`;
    });
  const older = runs.length - items.length;
  const more = older === 0 ? '' : `<p>${older} older not shown.</p>`;
  return `<h3>Time line</h3><ol class="line">${items.join('')}</ol>${more}`;
}

function claims(says: PageHost['agentSays']): string {
  if (says.length === 0) return '';
  const items = says.map((claim) => `<li>${text(claim.text)}</li>`).join('');
  return `<h3>Reported by its agent, unverified by root</h3><ul>${items}</ul>`;
}
