'use client';

/**
 * `<tide-progress>` in React 19: defines the element, and declares the types of its properties.
 *
 * ```tsx
 * import 'tidegate/element/react';
 *
 * const Imports = ({ ids }) => ids.map((id) => <tide-progress key={id} topic={`job:${id}`} />);
 * ```
 *
 * @packageDocumentation
 */

import type { DetailedHTMLProps, HTMLAttributes } from 'react';

import type { Tide } from '../tide-types.js';
import type { Update } from '../types.js';
import type { TideProgressElement } from './tide-progress.js';

export * from '../element.js';

/** The properties of `<tide-progress>`; see {@link TideProgressElement}. Null and undefined mean absent. */
export interface TideProgressAttributes extends HTMLAttributes<TideProgressElement> {
  readonly topic?: string | null | undefined;
  readonly src?: string | null | undefined;
  readonly label?: string | null | undefined;
  readonly throttle?: string | number | null | undefined;
  readonly unit?: string | null | undefined;
  readonly verb?: string | null | undefined;
  readonly worker?: string | null | undefined;
  /** A connection of your own, instead of `src`. */
  readonly tide?: Tide | null | undefined;
  /** An update to show, from a subscription of your own. Use it without `topic`. */
  readonly update?: Update | null | undefined;
  readonly onstatechange?: ((event: Event) => void) | null | undefined;
}

/** The properties together with `key` and `ref`. */
export type TideProgressProps = DetailedHTMLProps<TideProgressAttributes, TideProgressElement>;

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements {
      'tide-progress': TideProgressProps;
    }
  }
}
