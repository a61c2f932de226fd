/** The fleet page’s style. Colours have a contrast of 4.5 to 1 or better (WCAG 2.2, 1.4.3), in light and in dark. */
export const fleetStyle = `:root {
  --ground: #ffffff; --text: #1b1f24; --soft: #57606a; --line: #d0d7de; --link: #0550ae; --raised: #f6f8fa;
  --well: #116329; --waits: #7d4e00; --unwell: #a40e26; --stale: #57606a; --unknown: #6639ba;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0d1117; --text: #e6edf3; --soft: #9aa4af; --line: #3d444d; --link: #79c0ff; --raised: #161b22;
    --well: #56d364; --waits: #e3b341; --unwell: #ff8182; --stale: #9aa4af; --unknown: #d2a8ff;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 75rem; padding: 1rem; background: var(--ground); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: .5rem; background: var(--ground); padding: .5rem; }
h1, h2 { line-height: 1.2; }
.summary { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; list-style: none; padding: 0; }
.summary b { font-size: 1.5rem; }
.well { color: var(--well); } .waits { color: var(--waits); } .unwell { color: var(--unwell); } .stale { color: var(--stale); } .unknown { color: var(--unknown); }
.summary a { color: inherit; text-decoration: none; } .summary a:hover { text-decoration: underline; }
.filter { border: 0; margin: 0 0 .5rem; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem .4rem; align-items: center; }
.filter legend { float: left; color: var(--soft); padding: 0 .5rem 0 0; }
.filter input { margin: 0 0 0 .5rem; }
.why { min-width: 16rem; } td time, .free { white-space: nowrap; }
small { color: var(--soft); font-size: .85em; }
.line { list-style: none; margin: .3rem 0; padding: 0 0 0 .4rem; border-left: 2px solid var(--line); }
.line li { position: relative; padding-left: 1rem; }
.line li::before { content: ""; position: absolute; left: -.8rem; top: .45rem; width: .6rem; height: .6rem; border-radius: 50%; border: 2px solid var(--unwell); background: var(--ground); }
.line li.ok::before { border-color: var(--well); background: var(--well); }
.line time { font-variant-numeric: tabular-nums; color: var(--soft); }
.badge { border: 1px solid currentColor; border-radius: 1rem; padding: .05rem .6rem; white-space: nowrap; font-size: .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: var(--soft); padding-bottom: .5rem; }
tbody th { white-space: nowrap; }
th, td { text-align: left; padding: .4rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap; }
.trend .ok { fill: var(--well); } .trend .no { fill: none; stroke: var(--unwell); stroke-width: 1.5; }
details { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .8rem; margin: .5rem 0; }
summary { cursor: pointer; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: .5rem 0 0; }
code { font-size: .9em; }
footer { color: var(--soft); border-top: 1px solid var(--line); margin-top: 2rem; }
@media screen and (max-width: 45rem) {
  table, caption, tbody, tr, th[scope="row"], td { display: block; }
  thead { position: absolute; left: -99rem; }
  .why { min-width: 0; }
  tr { border: 1px solid var(--line); border-radius: .5rem; margin: .6rem 0; padding: .4rem 0; }
  th, td { border: 0; padding: .15rem .8rem; }
  th[scope="row"] { font-size: 1.1rem; white-space: normal; }
  td { display: grid; grid-template-columns: 8rem 1fr; }
  td::before { content: attr(data-label); color: var(--soft); }
  td > * { justify-self: start; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .4rem; }
}
@media print {
  :root { --ground: #ffffff; --text: #000000; --soft: #333333; --line: #999999; --link: #000000; --well: #000000; --waits: #000000; --unwell: #000000; --stale: #000000; --unknown: #000000; }
  /* What hangs on a wall is the table and the next stick, on one page for a fleet of forty. */
  @page { margin: 12mm; }
  html { font-size: 8pt; } body { max-width: none; padding: 0; line-height: 1.25; }
  h1 { font-size: 13pt; margin: 0; } h2 { font-size: 10pt; margin: .5rem 0 0; }
  .skip, .filter, .runs, thead th:last-child, section[aria-labelledby="details"] { display: none; }
  .summary b { font-size: 10pt; } th, td { padding: .1rem .5rem; } .why { min-width: 0; } .badge { border: 0; padding: 0; }
  tr { break-inside: avoid; } thead { display: table-header-group; }
  .scroll { overflow: visible; }
}
`;
