import 'tidegate/element';

import { connect } from 'tidegate';

connect('/').subscribe('job:1', ({ data }) => {
  document.querySelector('#page').textContent = data.message;
});

const worker = new Worker('worker.js', { type: 'module' });
worker.onmessage = ({ data }) => {
  document.querySelector('#worker').textContent = data;
};
worker.postMessage(location.origin);
