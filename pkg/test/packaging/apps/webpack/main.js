import 'tidegate/element';

import { connect } from 'tidegate';

connect('/').subscribe('job:1', ({ data }) => {
  document.querySelector('#page').textContent = data.message;
});

const worker = new Worker(new URL('./worker.js', import.meta.url));
worker.onmessage = ({ data }) => {
  document.querySelector('#worker').textContent = data;
};
worker.postMessage(location.origin);
