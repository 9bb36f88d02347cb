/** Runs in a page: components with the hooks, in strict mode, with notes of what they did. */

import { createElement as h, type ReactNode, StrictMode, useState } from 'react';
import { createRoot, hydrateRoot } from 'react-dom/client';
import { renderToString } from 'react-dom/server';
import { connect, type Duration, type Tide } from 'tidegate';
import { TideProvider, useConnection, useProgress, useTopic, useTopics } from 'tidegate/react';

/** The sent frames, and how often components were rendered. */
const notes = {
  sent: [] as string[],
  drawn: 0,
  sameSnapshot: true,
  sameWork: true,
  drawnTopics: 0,
};

class NotingSocket extends WebSocket {
  override send(text: string): void {
    const message = JSON.parse(text) as { type: string; pattern?: string } | { type: string }[];
    for (const frame of [message].flat() as { type: string; pattern?: string }[]) {
      notes.sent.push(frame.pattern === undefined ? frame.type : `${frame.type} ${frame.pattern}`);
    }
    super.send(text);
  }
}

let last: unknown;

function Progress({ topic, throttle }: { topic: string | null; throttle?: Duration }): ReactNode {
  const options = throttle === undefined ? {} : { throttle };
  const state = useTopic<{ n: number }>(topic, options);
  const [, redraw] = useState(0);
  notes.drawn += 1;
  if (state.update !== undefined && (last as typeof state).update === state.update) {
    notes.sameSnapshot &&= last === state || state.status !== (last as typeof state).status;
  }
  last = state;
  return h(
    'p',
    { id: 'progress', onClick: () => redraw((count) => count + 1) },
    `${state.status} ${state.data?.n} ${state.end} ${state.error?.message ?? ''}`,
  );
}

const NOUNS = { unit: 'label|labels', verb: 'labeled', worker: 'labeler|labelers' };

let lastWork: unknown;

function Work({ topic }: { topic: string }): ReactNode {
  const state = useProgress(topic, { nouns: { ...NOUNS }, language: 'en' });
  const [, redraw] = useState(0);
  const { status, work, texts, end } = state;
  if (work !== undefined && work === (lastWork as typeof state | undefined)?.work) {
    notes.sameWork &&= lastWork === state;
  }
  lastWork = state;
  return h(
    'p',
    { id: 'work', onClick: () => redraw((count) => count + 1) },
    `${status} ${work?.done} ${texts?.amount}, ${texts?.active}, ${texts?.rate} ${end}`,
  );
}

function Topics({ pattern }: { pattern: string }): ReactNode {
  const topics = useTopics<{ n: number }>(pattern, { throttle: 50 });
  notes.drawnTopics += 1;
  return h(
    'ul',
    { id: 'topics' },
    [...topics].map(([topic, { status, data, end }]) =>
      h('li', { key: topic }, `${topic} ${status} ${data?.n} ${end}`),
    ),
  );
}

function Connection(): ReactNode {
  return h('p', { id: 'connection' }, useConnection().status);
}

interface Shown {
  topic: string | null;
  throttle?: Duration;
  count: number;
  /** A topic of progress. */
  work?: string;
  /** A pattern of topics. */
  pattern?: string;
}

function App({ first }: { first: Shown }): ReactNode {
  const [shown, setShown] = useState(first);
  (window as { show?: (shown: Shown) => void }).show = setShown;
  const { count, work, pattern, ...props } = shown;
  return h(
    'div',
    null,
    h(Connection),
    work === undefined ? null : h(Work, { topic: work }),
    pattern === undefined ? null : h(Topics, { pattern }),
    Array.from({ length: count }, (_, key) => h(Progress, { key, ...props })),
  );
}

let tide: Tide;

export function start(server: string, first: Shown, hydrates: boolean): void {
  tide = connect(server, { WebSocket: NotingSocket });
  const page = h(StrictMode, null, h(TideProvider, { tide }, h(App, { first })));
  const root = document.getElementById('root')!;
  if (hydrates) {
    root.innerHTML = renderToString(page);
    hydrateRoot(root, page, { onRecoverableError: (error) => reportError(error) });
  } else {
    createRoot(root).render(page);
  }
}

export function noted(): typeof notes {
  return notes;
}

export function close(): void {
  tide.close();
}
