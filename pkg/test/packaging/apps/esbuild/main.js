import { connect } from 'tidegate';
import wasm from 'tidegate/tabs.wasm';

connect('/', { wasm: new URL(wasm, import.meta.url) }).subscribe('job:1', ({ data }) => {
  document.querySelector('#page').textContent = data.message;
});
