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

import { TideProgressElement } from './element/tide-progress.js';

export type { ProgressState, ProgressWords } from './element/words.js';
export type { Job, Status } from './progress/job.js';
export type { Work } from './progress/work.js';
export type { WorkWords } from './progress/work-text.js';
export { TideProgressElement };

declare global {
  interface HTMLElementTagNameMap {
    'tide-progress': TideProgressElement;
  }
}

// Not on a server, and not twice where the package is there twice.
if (globalThis.customElements?.get('tide-progress') === undefined) {
  globalThis.customElements?.define('tide-progress', TideProgressElement);
}
