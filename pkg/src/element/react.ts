'use client';

/**
 * `<tide-progress>` in React 19: defines it, and tells TypeScript what its properties are.
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

/** What React may set on a `<tide-progress>`; see {@link TideProgressElement}. What is null or undefined is absent. */
export interface TideProgressAttributes extends HTMLAttributes<TideProgressElement> {
  readonly topic?: string | null | undefined;
  readonly src?: string | null | undefined;
  readonly label?: string | null | undefined;
  readonly throttle?: string | number | null | undefined;
  readonly unit?: string | null | undefined;
  readonly verb?: string | null | undefined;
  readonly worker?: string | null | undefined;
  /** A connection of your own, instead of one by `src`. */
  readonly tide?: Tide | null | undefined;
  /** An update to show, of a subscription of your own: then without `topic`. */
  readonly update?: Update | null | undefined;
  readonly onstatechange?: ((event: Event) => void) | null | undefined;
}

/** The same with `key` and `ref`. */
export type TideProgressProps = DetailedHTMLProps<TideProgressAttributes, TideProgressElement>;

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements {
      'tide-progress': TideProgressProps;
    }
  }
}
