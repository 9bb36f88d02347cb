/**
 * How a chart looks: text and greys follow the page's text colour, the lines its `color-scheme`. It is as high as the element that
 * it is in.
 *
 * @internal
 */
export const STYLE = `
:host {
  --line-0: var(--tide-chart-color, light-dark(#1470c4, #4aa8ff));
  --line-1: var(--tide-chart-second-color, light-dark(#b4530a, #f0a04b));
  --quiet: color-mix(in srgb, currentcolor 68%, transparent);
  --grid: color-mix(in srgb, currentcolor 14%, transparent);
  font-variant-numeric: tabular-nums;
}
.chart { display: flex; flex-direction: column; block-size: 100%; min-block-size: 7rem; margin: 0; direction: ltr; container-type: inline-size; }
.head, .foot { display: flex; flex: none; align-items: baseline; gap: 0.2em 1.25em; }
.head { min-block-size: 1.9em; overflow: hidden; }
.foot { justify-content: space-between; color: var(--quiet); font-size: 0.78em; }
.title { flex: 1 1 auto; min-inline-size: 0; overflow: hidden; font-weight: 600; text-overflow: ellipsis; white-space: nowrap; }
.key { color: var(--quiet); font-size: 0.86em; white-space: nowrap; }
.key::before { content: ""; display: inline-block; inline-size: 0.9em; block-size: 0.22em; margin-inline-end: 0.45em; border-radius: 1px; background: var(--line-0); vertical-align: 0.25em; }
.key.second::before { background: var(--line-1); }
.value { display: inline-block; min-inline-size: 4.2em; font-weight: 600; text-align: end; }
.plot { position: relative; flex: 1 1 0; min-block-size: 0; }
svg { display: block; inline-size: 100%; block-size: 100%; overflow: visible; }
path { fill: none; vector-effect: non-scaling-stroke; stroke-linejoin: round; stroke-linecap: round; }
.grid { stroke: var(--grid); stroke-width: 1; }
.line { stroke: var(--line-0); stroke-width: 2; }
.area { fill: var(--line-0); opacity: 0.16; }
.line.second { stroke: var(--line-1); }
.area.second { display: none; }
.scale { position: absolute; inset-inline-start: 0; padding-inline: 0 0.4em; color: var(--quiet); font-size: 0.72em; line-height: 1; pointer-events: none; }
.scale.top { inset-block-start: 0.25em; }
.scale.middle { inset-block-start: calc(50% + 0.25em); }
@container (max-width: 28rem) {
  .head { flex-wrap: wrap; }
  .title { flex-basis: 100%; }
}
@media (forced-colors: active) {
  :host { --line-0: CanvasText; --line-1: LinkText; }
}
`;
