/** What the examples' pages share: a connection, its status, and requests. */

import { connect } from '/tidegate/index.js';

export const of = (id) => document.getElementById(id);

/** The page's connection. The badge in the header shows its state. */
export const tide = connect('/live');

tide.on('state', ({ status }) => {
  of('connection').textContent = status;
  of('connection').classList.toggle('good', status === 'connected');
});

/** Sends the server a request, as JSON. */
export const post = (path, body) =>
  fetch(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
