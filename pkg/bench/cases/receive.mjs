/** Receiving a frame, from its text to the handler. */

import { connect } from 'tidegate';

import { interleave } from '../measure.mjs';

const TOPICS = 1000;
const FRAMES = 4000;
const ROUNDS = 60;

let received = 0;
const handle = ({ data }) => {
  received += data.progress;
};

/** A socket whose server is this very program. */
class Socket {
  static last;
  readyState = 1;
  #listeners = {};

  constructor() {
    Socket.last = this;
  }

  addEventListener(type, listener) {
    this.#listeners[type] = listener;
  }

  send() {}

  close() {}

  open() {
    this.#listeners.open({});
  }

  say(text) {
    this.#listeners.message({ data: text });
  }
}

function frame(index) {
  const offset = 1 + Math.floor(index / TOPICS);
  const data = { progress: 0.5, message: `step ${index} of many`, done: index, total: 100_000 };
  return JSON.stringify({ type: 'pub', topic: `job:${index % TOPICS}`, epoch: 7, offset, data });
}

export async function receive() {
  const tide = connect('http://example.test', { WebSocket: Socket, tabs: 'off' });
  const handlers = new Map();
  for (let index = 0; index < TOPICS; index += 1) {
    tide.subscribe(`job:${index}`, handle);
    handlers.set(`job:${index}`, handle);
  }
  while (Socket.last === undefined) {
    await new Promise((resolve) => setTimeout(resolve));
  }
  Socket.last.open();
  Socket.last.say('{"type":"welcome","heartbeat_ms":60000}');
  for (let index = 0; index < TOPICS; index += 1) {
    const position = { epoch: 7, offset: 0 };
    Socket.last.say(
      JSON.stringify({ type: 'subscribed', pattern: `job:${index}`, position, recovered: false, flow: {} }),
    );
  }
  const texts = Array.from({ length: FRAMES * (ROUNDS + 1) }, (_, index) => frame(index));
  const reader = (take) => {
    let next = 0;
    return (operations) => {
      for (const end = next + operations; next < end; next += 1) {
        take(texts[next]);
      }
    };
  };
  const run = {
    tidegate: reader((text) => Socket.last.say(text)),
    'JSON.parse + Map': reader((text) => {
      const update = JSON.parse(text);
      handlers.get(update.topic)(update);
    }),
  };
  for (const warm of Object.values(run)) {
    warm(FRAMES);
  }
  const taken = interleave(run, { rounds: ROUNDS, operations: FRAMES });
  tide.close();
  if (received !== 2 * 0.5 * FRAMES * (ROUNDS + 1)) {
    throw new Error(`some frames were not handed over: ${received}`);
  }
  return {
    title: 'A frame, from its text to the handler',
    rows: [{ what: 'one publication', unit: 'ns', taken, against: 'JSON.parse + Map' }],
  };
}
