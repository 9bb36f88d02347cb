/** Runs in a page that is already connected: a component of many topics, and how often it was rendered. */

import { createElement as h, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import type { FlowOptions, Tide } from 'tidegate';
import { useTopics } from 'tidegate/react';

const page = globalThis as unknown as { readonly tide: Tide; drawn: number };

page.drawn = 0;

function Tiles({ throttle }: { readonly throttle: FlowOptions['throttle'] }): ReactNode {
  const tiles = useTopics<number>(page.tide, 'tile:*', { throttle });
  page.drawn += 1;
  return h(
    'p',
    { id: 'tiles' },
    `${tiles.size} ${Math.max(...[...tiles.values()].map(({ data }) => data!))}`,
  );
}

const root = document.createElement('div');
document.body.append(root);
const throttle = new URLSearchParams(location.search).get('throttle') ?? undefined;
createRoot(root).render(h(Tiles, { throttle: throttle as FlowOptions['throttle'] }));
