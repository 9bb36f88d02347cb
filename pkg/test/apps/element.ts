/** Runs in a page: `<tide-progress>` in React, in strict mode. */

import { createElement as h, type ReactNode, StrictMode, useRef, useState } from 'react';
import { createRoot, hydrateRoot } from 'react-dom/client';
import { renderToString } from 'react-dom/server';
import 'tidegate/element/react';
import type { TideProgressAttributes, TideProgressElement } from 'tidegate/element/react';

/** The attributes of a bar. */
export type Shown = Pick<
  TideProgressAttributes,
  'topic' | 'label' | 'throttle' | 'lang' | 'suppressHydrationWarning'
> & { readonly tide?: null };

/** The topics and states of all state changes. */
const told: string[] = [];

function Bar(props: Shown): ReactNode {
  const bar = useRef<TideProgressElement>(null);
  const onstatechange = (): void => void told.push(`${bar.current?.topic} ${bar.current?.state}`);
  return h('tide-progress', { ...props, ref: bar, className: 'bar', onstatechange });
}

function App({ first }: { first: readonly Shown[] }): ReactNode {
  const [bars, setBars] = useState(first);
  (window as { show?: typeof setBars }).show = setBars;
  return bars.map((props, index) => h(Bar, { key: `${index}`, ...props }));
}

export async function start(first: readonly Shown[], hydrates: boolean): Promise<void> {
  const page = h(StrictMode, null, h(App, { first }));
  const root = document.getElementById('root')!;
  if (hydrates) {
    root.innerHTML = renderToString(page);
    await new Promise(requestAnimationFrame);
    hydrateRoot(root, page, { onRecoverableError: (error) => reportError(error) });
  } else {
    createRoot(root).render(page);
  }
}

export function noted(): readonly string[] {
  return told;
}
