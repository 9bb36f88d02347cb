import '/node_modules/tidegate/dist/element.js';

import { connect } from '/node_modules/tidegate/dist/index.js';

connect('/').subscribe('job:1', ({ data }) => {
  document.querySelector('#page').textContent = data.message;
});
