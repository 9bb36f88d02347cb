/**
 * How `<tide-progress>` looks. Text and greys follow the page's own text colour, so that it fits both light and dark
 * pages; the colours of states follow the page's `color-scheme`.
 *
 * @internal
 */
export const STYLE = `
:host {
  --running: var(--tide-progress-color, light-dark(#1470c4, #4aa8ff));
  --complete: var(--tide-progress-complete-color, light-dark(#15803d, #4ccf7c));
  --failed: var(--tide-progress-failed-color, light-dark(#c02626, #ff7b7b));
  --cancelled: var(--tide-progress-cancelled-color, light-dark(#8a6100, #e5b84b));
  --quiet: var(--tide-progress-muted-color, color-mix(in srgb, currentcolor 68%, transparent));
  --track: var(--tide-progress-track-color, color-mix(in srgb, currentcolor 14%, transparent));
  --state: var(--running);
  display: block;
  min-width: 6rem;
  font-variant-numeric: tabular-nums;
  line-height: 1.4;
}
:host([hidden]) { display: none; }
:host([state="complete"]) { --state: var(--complete); }
:host([state="failed"]), :host([state="unreachable"]), :host([state="error"]) { --state: var(--failed); }
:host([state="cancelled"]) { --state: var(--cancelled); }
:host([state="waiting"]), :host([state="stale"]) { --state: var(--quiet); }
.line { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 0.75em; }
.line > :empty { display: none; }
.line.facts:not(:has(:not(:empty))) { display: none; }
.label { flex: 1 1 min(5em, 100%); min-width: 0; font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.state { color: var(--state); font-size: 0.875em; white-space: nowrap; }
.percent { font-weight: 600; min-width: 3ch; text-align: end; }
.facts { color: var(--quiet); font-size: 0.875em; }
.time { margin-inline-start: auto; }
.many > .time { margin-inline-start: 0; }
.message { flex: 1 1 0; min-width: 0; order: -1; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
:host(:is([state="failed"], [state="error"], [state="unreachable"])) .message { max-block-size: 10lh; overflow: auto; overflow-wrap: anywhere; white-space: normal; }
:is(.label, .message) { text-align: left; }
:host(:dir(rtl)) :is(.label, .message) { text-align: right; }
:is(.amount, .active, .rate):not(:empty) ~ .message { flex-basis: 100%; order: 1; }
.bar {
  position: relative;
  overflow: hidden;
  block-size: var(--tide-progress-height, 0.5em);
  margin-block: 0.35em;
  border-radius: var(--tide-progress-radius, 99px);
  background: var(--track);
}
.fill {
  block-size: 100%;
  inline-size: 100%;
  border-radius: inherit;
  background: var(--state);
  transform-origin: left;
  transform: scaleX(var(--share, 0));
  transition: transform 250ms ease-out, background-color 250ms;
  --way: 1;
}
:host(:dir(rtl)) .fill { transform-origin: right; --way: -1; }
.unmeasured .fill { inline-size: 32%; transform: translateX(calc(-110% * var(--way))); animation: sweep 1.6s ease-in-out infinite; transition: none; }
:host([state="waiting"]) .fill, :host([state="stale"]) .unmeasured .fill { opacity: 0.45; }
:host(:is([state="stale"], [state="unreachable"])) .unmeasured .fill { animation-play-state: paused; }
@keyframes sweep { to { transform: translateX(calc(330% * var(--way))); } }
.spoken { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (prefers-reduced-motion: reduce) {
  .fill { transition: none; }
  .unmeasured .fill { animation: none; inline-size: 100%; transform: none; opacity: 0.35; }
  :host([state="waiting"]) .fill { opacity: 0; }
}
@media (forced-colors: active) {
  .bar { border: 1px solid CanvasText; }
  .fill { background: Highlight; forced-color-adjust: none; }
}
`;
