import { connect } from '/node_modules/tidegate/dist/index.js';

self.onmessage = async ({ data: server }) => {
  for await (const { data } of connect(server).watch('job:1')) {
    postMessage(data.message);
  }
};
