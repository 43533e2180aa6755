"""How the page of a rollout looks, and the script that filters and opens its rows."""

from __future__ import annotations

STYLE = """
main { max-width: 1500px; }
.tools { display: flex; flex-wrap: wrap; gap: 8px 14px; align-items: center; margin: 0 0 8px; }
.tools[hidden] { display: none; }
.tools input { font: inherit; color: inherit; background: var(--paper); width: 26ch;
  border: 1px solid var(--soft); border-radius: 6px; padding: 5px 9px; }
.tools button { font: inherit; color: inherit; background: var(--card); cursor: pointer;
  border: 1px solid var(--soft); border-radius: 6px; padding: 5px 12px; }
.tools output { color: var(--soft); }
:focus-visible { outline: 3px solid var(--apiserver); outline-offset: 1px; border-radius: 4px; }
.axis, .pods summary { display: grid; column-gap: 12px; align-items: center; padding: 2px 6px;
  font-size: 14px; grid-template-columns: minmax(0, var(--name)) var(--state)
  minmax(0, var(--node)) var(--took) minmax(0, var(--held)) minmax(20%, 1fr); }
.axis { position: sticky; top: 0; z-index: 1; background: var(--paper); color: var(--soft);
  border-bottom: 1px solid var(--line); }
.axis > span { font-size: 13px; font-weight: 600; }
.pods { list-style: none; margin: 0; padding: 0; }
.pods li { border-bottom: 1px solid var(--line); }
.pods summary { cursor: pointer; list-style: none; line-height: 1.3; }
.pods summary::-webkit-details-marker { display: none; }
.pods summary:hover { background: var(--card); }
.name { overflow-wrap: anywhere; }
.name::before { content: "▸"; display: inline-block; width: 1.1em; color: var(--soft); }
details[open] .name::before { content: "▾"; }
.node, .held { color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
.took { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.state { font-size: 13px; white-space: nowrap; }
.state.undone, .longest > details > summary .took { color: var(--alarm); font-weight: 600; }
.pods summary .lane { height: 16px; }
.pods .bar { border-radius: 0; }
.pods .whole { background: var(--line); border: 1px solid var(--gap); }
.pods .open { border-right-style: dashed; border-right-width: 3px; }
.pods .unexplained { background: repeating-linear-gradient(45deg, var(--gap) 0 3px,
  transparent 3px 6px); }
.pods .ready { background: repeating-linear-gradient(90deg, var(--kubelet) 0 2px,
  transparent 2px 5px); }
.pods .termination { background: repeating-linear-gradient(135deg, var(--alarm) 0 2px,
  transparent 2px 6px); border: 1px solid var(--alarm); }
.pods .mark { top: auto; height: 3px; background: var(--hot); }
.more { padding: 4px 6px 14px 1.4em; }
.more p { margin: 4px 0; overflow-wrap: anywhere; }
.more table { margin: 4px 0; } .more .bar { border-radius: 3px; }
.more .critical .bar { outline-offset: 0; }
.legend .waits { background: repeating-linear-gradient(90deg, var(--kubelet) 0 2px,
  transparent 2px 5px); border: 1px solid var(--kubelet); }
.legend .ends { background: repeating-linear-gradient(135deg, var(--alarm) 0 2px,
  transparent 2px 6px); border: 1px solid var(--alarm); }
section + section { border-top: 2px solid var(--line); margin-top: 36px; padding-top: 20px; }
section > h2:first-child { font-size: 20px; overflow-wrap: anywhere; }
h3 { font-size: 16px; margin: 26px 0 6px; }
@media (max-width: 720px) {
  .axis, .pods summary { row-gap: 1px;
    grid-template-columns: minmax(0, 1fr) var(--state) var(--took); }
  .name { grid-column: 1; } .state { grid-column: 2; text-align: right; } .took { grid-column: 3; }
  .node { grid-column: 1; grid-row: 2; } .held { grid-column: 2 / -1; grid-row: 2;
    text-align: right; } .lane, .ticks { grid-column: 1 / -1; }
  .axis > :not(.ticks) { display: none; }
  .pods li { padding: 3px 0; } .more { padding-left: 6px; }
}
@media print { .axis { position: static; } .tools { display: none; } }
""".strip()
SCRIPT = """
"use strict";
const tools = document.querySelector(".tools");
if (tools) {
  const words = tools.querySelector("input"), told = tools.querySelector("output");
  const open = tools.querySelector("button"), rows = [...document.querySelectorAll(".pods li")];
  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.dataset.text;
      row.hidden = !wanted.every(word => text.includes(word));
      shown += !row.hidden;
    }
    told.textContent = wanted.length ? `${shown} of ${rows.length} rows` : "";
  };
  words.addEventListener("input", filter);
  open.addEventListener("click", () => {
    const seen = rows.filter(row => !row.hidden);
    const all = seen.flatMap(row => [...row.querySelectorAll("details")]);
    const some = all.some(details => !details.open);
    for (const details of all) details.open = some;
    open.textContent = some ? "Close all" : "Open all";
  });
  tools.hidden = false;
}
""".strip()
