/** Runs in a page: presences through a connection and through a component in strict mode, with their changes. */

import { createElement as h, type ReactNode, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { connect, type Presence, type Tide, type Tracking } from 'tidegate';
import { TideProvider, usePresence } from 'tidegate/react';

interface Meta {
  readonly device: string;
}

/** The changes in short, such as `+ada(phone)`, and the types of the sent frames. */
const notes = { told: [] as string[], sent: [] as string[] };

class NotingSocket extends WebSocket {
  static last: NotingSocket;

  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols);
    NotingSocket.last = this;
  }

  override send(text: string): void {
    const message = JSON.parse(text) as { type: string } | { type: string }[];
    notes.sent.push(...[message].flat().map(({ type }) => type));
    super.send(text);
  }
}

const say = ({ key, metas }: Presence<Meta>): string => `${key}(${metas.map(({ device }) => device).sort()})`;

let tide: Tide;
let tracked: Tracking<Meta>;
let unmount = (): void => {};

export function start(server: string, topic: string): void {
  tide = connect(server, { WebSocket: NotingSocket });
  const room = tide.presence<Meta>(topic);
  room.onChange(({ joins, leaves, updates }) => {
    notes.told.push(...joins.map((it) => `+${say(it)}`));
    notes.told.push(...leaves.map((it) => `-${say(it)}`));
    notes.told.push(...updates.map((it) => `~${say(it)}`));
  });
}

export function track(topic: string, key: string, device: string): void {
  tracked = tide.presence<Meta>(topic).track(key, { device });
}

export function update(device: string): void {
  tracked.update({ device });
}

export function untrack(): void {
  tracked.untrack();
}

/** Loses the connection. */
export function cut(): void {
  NotingSocket.last.close();
}

export function noted(): typeof notes {
  return notes;
}

function Room({ topic }: { topic: string }): ReactNode {
  const { status, present, error } = usePresence<Meta>(topic);
  return h('p', { id: 'room' }, `${status} ${present.map(say).join(' ')} ${error?.message ?? ''}`);
}

export function show(topic: string): void {
  const root = createRoot(document.getElementById('root')!);
  root.render(h(StrictMode, null, h(TideProvider, { tide }, h(Room, { topic }))));
  unmount = () => root.unmount();
}

export function hide(): void {
  unmount();
}

export function close(): void {
  tide.close();
}
