/**
 * Defines `<tide-progress>`.
 *
 * ```html
 * <script type="module" src="tidegate/dist/element.js"></script>
 * <tide-progress topic="job:42"></tide-progress>
 * ```
 *
 * @packageDocumentation
 */

import { TideProgressElement as OwnElement } from './element/tide-progress.js';

export type { ProgressState, ProgressWords } from './element/words.js';
export type { Job, Status } from './progress/job.js';
export type { Work } from './progress/work.js';
export type { WorkWords } from './progress/work-text.js';

declare global {
  interface HTMLElementTagNameMap {
    'tide-progress': TideProgressElement;
  }
}

// A server has no custom elements, and a page may contain two copies of the package.
if (globalThis.customElements?.get('tide-progress') === undefined) {
  globalThis.customElements?.define('tide-progress', OwnElement);
}

/**
 * The class of `<tide-progress>`. If a page contains two copies of the package, both export the class of the first: one
 * that isn't registered as an element can't be constructed.
 */
export const TideProgressElement = (globalThis.customElements?.get('tide-progress') ??
  OwnElement) as typeof OwnElement;
export type TideProgressElement = OwnElement;
