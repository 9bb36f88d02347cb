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

// Not on a server, and not twice where the package is there twice.
if (globalThis.customElements?.get('tide-progress') === undefined) {
  globalThis.customElements?.define('tide-progress', OwnElement);
}

/**
 * What `<tide-progress>` is made of. Where the package is there twice it is that of the copy that was there first: a class that is
 * not defined as an element can't be constructed.
 */
export const TideProgressElement = (globalThis.customElements?.get('tide-progress') ??
  OwnElement) as typeof OwnElement;
export type TideProgressElement = OwnElement;
