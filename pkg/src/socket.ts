/** Finds the address of the server's WebSocket, and a class that opens it. */

import { TidegateError } from './errors.js';

/** The part of the standard `WebSocket` that is used here. The package `ws` has it, too. */
export interface WebSocketLike {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'open' | 'close' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
}

/** The class of WebSockets: the platform's `WebSocket`, or one like it. */
export type WebSocketConstructor = new (url: string, protocols?: string | string[]) => WebSocketLike;

/** The subprotocol that the server must speak. */
export const SUBPROTOCOL = 'tidegate.v1.json';

/**
 * The base of relative addresses: in a page, its base URL; in a worker, its script. Undefined in Node.
 *
 * @internal
 */
export function baseUrl(): string | undefined {
  const { document, location } = globalThis as { document?: Document; location?: Location };
  return document?.baseURI ?? location?.href;
}

/**
 * The address of the server's WebSocket: for `https://host/base`, it is `wss://host/base/ws`.
 *
 * @internal
 */
export function socketUrl(url: string | URL): string {
  let resolved: URL;
  try {
    resolved = new URL(url, baseUrl());
  } catch (cause) {
    const help = baseUrl() === undefined ? ': outside of a page, give a whole one, such as https://host' : '';
    throw new TidegateError('bad_option', `${String(url)} is not the address of a server${help}`, { cause });
  }
  const protocol = { 'http:': 'ws:', 'https:': 'wss:', 'ws:': 'ws:', 'wss:': 'wss:' }[resolved.protocol];
  if (protocol === undefined) {
    throw new TidegateError('bad_option', `${String(url)} must begin with http, https, ws or wss`);
  }
  resolved.protocol = protocol;
  resolved.hash = '';
  if (!resolved.pathname.endsWith('/ws')) {
    resolved.pathname = `${resolved.pathname.replace(/\/+$/, '')}/ws`;
  }
  return resolved.href;
}

/**
 * The platform's `WebSocket`, or that of the package `ws` if the platform has none (Node 20).
 *
 * @internal
 */
export async function findWebSocket(): Promise<WebSocketConstructor> {
  const own = (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  if (own !== undefined) {
    return own;
  }
  // Not a literal, so that no bundler looks for a package that only Node 20 needs.
  const name = 'ws';
  try {
    const module = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as {
      WebSocket: WebSocketConstructor;
    };
    return module.WebSocket;
  } catch (cause) {
    throw new TidegateError(
      'no_websocket',
      'this platform has no WebSocket: install the package ws, or pass one as options.WebSocket',
      { cause },
    );
  }
}
