import 'tidegate/element';

import { createElement as h } from 'react';
import { createRoot } from 'react-dom/client';
import { connect } from 'tidegate';
import { TideProvider, useTopic } from 'tidegate/react';

const tide = connect('/');
tide.subscribe('job:1', ({ data }) => {
  document.querySelector('#page').textContent = data.message;
});

function Message() {
  return useTopic('job:1').data?.message;
}
createRoot(document.querySelector('#react')).render(h(TideProvider, { tide }, h(Message)));

const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
worker.onmessage = ({ data }) => {
  document.querySelector('#worker').textContent = data;
};
worker.postMessage(location.origin);
