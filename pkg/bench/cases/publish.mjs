/** A publication to many handlers in the same page. */

import EventEmitter3 from 'eventemitter3';
import mitt from 'mitt';
import { createHub } from 'tidegate';

import { interleave } from '../measure.mjs';

const HANDLERS = [1, 10, 100, 1000];

let received = 0;

/** The handler of every contender: it does just enough not to be optimized away. */
const handler = () => () => {
  received += 1;
};

function contenders(handlers) {
  const hub = createHub();
  const emitter = mitt();
  const events = new EventEmitter3();
  for (let index = 0; index < handlers; index += 1) {
    hub.subscribe('job:1', handler());
    emitter.on('job:1', handler());
    events.on('job:1', handler());
  }
  const data = { progress: 0.5, message: 'half of it' };
  const times = (publish) => (operations) => {
    for (let index = 0; index < operations; index += 1) {
      publish();
    }
  };
  return {
    close: () => hub.close(),
    run: {
      tidegate: times(() => hub.publish('job:1', data)),
      mitt: times(() => emitter.emit('job:1', data)),
      eventemitter3: times(() => events.emit('job:1', data)),
    },
  };
}

export function publish() {
  const rows = HANDLERS.map((handlers) => {
    const { run, close } = contenders(handlers);
    const taken = interleave(run);
    close();
    return { what: `${handlers} handler${handlers === 1 ? '' : 's'}`, unit: 'ns', taken, against: 'mitt' };
  });
  if (received === 0) {
    throw new Error('no handler was called');
  }
  return { title: 'A publication in the page', rows };
}
