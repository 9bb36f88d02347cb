import { connect } from '/node_modules/tidegate/dist/inline.js';

connect('/').subscribe('job:1', ({ data }) => {
  document.querySelector('#page').textContent = data.message;
});
