/** What the pages of the examples have in common: a connection, what it says of itself, and requests. */

import { connect } from '/tidegate/index.js';

export const of = (id) => document.getElementById(id);

/** The page's connection; the badge of the header shows how it is. */
export const tide = connect('/live');

tide.on('state', ({ status }) => {
  of('connection').textContent = status;
  of('connection').classList.toggle('good', status === 'connected');
});

/** Asks the server for something, as JSON. */
export const post = (path, body) =>
  fetch(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
