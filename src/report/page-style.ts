/** Looks of the report's page: light and dark by the reader's setting, light on paper. */
export const pageStyle = `
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1f2328; --faint: #59636e; --rule: #c4ccd4; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14181d; --ink: #e6eaee; --faint: #a3adb8; --rule: #414b56; }
  .hz-series-0 { stroke: #56b4e9; } .hz-series-1 { stroke: #ff8c42; } .hz-series-2 { stroke: #2fd3a5; }
  .hz-series-4 { stroke: #d8c24a; } .hz-bar { fill: #39434e; }
  .hz-kind-0 { fill: #56b4e9; stroke: #56b4e9; } .hz-kind-1 { fill: #ff8c42; stroke: #ff8c42; }
  .hz-kind-2 { fill: #2fd3a5; stroke: #2fd3a5; } .hz-kind-3 { stroke: #a3adb8; }
}
body { margin: 0 auto; max-width: 1180px; padding: 24px 16px 48px; background: var(--paper); color: var(--ink);
  font: 16px/1.5 'Headzip Inter', system-ui, sans-serif; }
figure svg { font-family: 'Headzip Inter', system-ui, sans-serif; }
h1, h2, th, label { font-weight: 600; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
figure { margin: 1rem 0; overflow-x: auto; }
figure svg { display: block; max-width: 100%; height: auto; }
.hz-paper { fill: var(--paper); } .hz-ink { fill: var(--ink); } .hz-faint { fill: var(--faint); }
.hz-ink-line { stroke: var(--ink); } .hz-faint-line { stroke: var(--faint); } .hz-rule-line { stroke: var(--rule); }
.control { position: sticky; top: 0; z-index: 1; display: flex; gap: 12px; align-items: center; flex-wrap: wrap;
  padding: 10px 0; background: var(--paper); border-bottom: 1px solid var(--rule); }
.control input { flex: 1 1 240px; max-width: 480px; }
#hz-readout { flex: 1 1 100%; margin: 0; min-height: 1.5em; font-variant-numeric: tabular-nums; }
.hz-panel { cursor: crosshair; }
.hz-panel:focus { outline: none; }
.hz-panel:focus-visible > text { text-decoration: underline; }
.hz-at rect { stroke: #ff2d95; stroke-width: 2.5; }
.control output { min-width: 15ch; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; }
th { white-space: nowrap; }
th, td { padding: 4px 16px 4px 0; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.scroll { overflow-x: auto; }
.scroll table { font-size: .8rem; } .scroll td, .scroll th { padding: 2px 10px 2px 0; }
p.note { color: var(--faint); max-width: 75ch; }
:focus-visible { outline: 3px solid #3b82f6; outline-offset: 2px; }
@media (max-width: 700px) { figure.wide svg { max-width: none; } }
@media print {
  :root { --paper: #ffffff; --ink: #1f2328; --faint: #59636e; --rule: #c4ccd4; }
  .control input, #hz-readout, details:not([open]) { display: none; } .control { position: static; }
  .hz-at rect { stroke: none; } .hz-bar { fill: #d8dee4; }
  .hz-kind-0 { fill: #0072b2; stroke: #0072b2; } .hz-kind-1 { fill: #d55e00; stroke: #d55e00; }
  .hz-kind-2 { fill: #009e73; stroke: #009e73; } .hz-kind-3 { stroke: #59636e; }
  .hz-series-0 { stroke: #0072b2; } .hz-series-1 { stroke: #d55e00; } .hz-series-2 { stroke: #009e73; }
  .hz-series-4 { stroke: #8a7500; }
  figure { break-inside: avoid; }
}
`
