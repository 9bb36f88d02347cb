import { connect } from 'tidegate/inline';

connect('/').subscribe('job:1', ({ data }) => {
  document.querySelector('#inline').textContent = data.message;
});
