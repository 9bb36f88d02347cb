// A proxy that cuts each of its connections again and again.
import { connect, createServer } from "node:net";

/**
 * How a connection ends: usually both sides learn of it, sometimes only the one that is named, and the other hears
 * nothing more.
 */
const CUTS = ["both", "both", "both", "both", "both", "both", "client", "server"];

/** A seeded generator, so that the cuts of a run can be reproduced. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Listens on a free port of this machine and passes bytes on to `port`. Once `cut(true)` is called, each connection,
 * including existing ones, lives for half to one and a half times `everyMs`.
 */
export async function flaky(port, everyMs, seed) {
  const draw = random(seed);
  const pairs = new Set();
  let isCutting = false;
  let cuts = 0;

  const plan = (pair) => {
    pair.timer = setTimeout(
      () => {
        cuts += 1;
        end(pair, CUTS[Math.floor(draw() * CUTS.length)]);
      },
      everyMs * (0.5 + draw()),
    );
  };
  const end = (pair, who) => {
    clearTimeout(pair.timer);
    pairs.delete(pair);
    pair.near.unpipe(pair.far);
    pair.far.unpipe(pair.near);
    if (who !== "server") pair.near.resetAndDestroy();
    if (who !== "client") pair.far.resetAndDestroy();
    // The side that isn't told reads nothing more, and what it sends is discarded.
    for (const left of [pair.near, pair.far]) if (!left.destroyed) left.resume();
  };

  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    const pair = { near, far, timer: undefined };
    pairs.add(pair);
    const over = () => pairs.has(pair) && end(pair, "both");
    for (const socket of [near, far]) socket.on("error", over).on("close", over).setNoDelay(true);
    near.pipe(far).pipe(near);
    if (isCutting) plan(pair);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: server.address().port,
    get cuts() {
      return cuts;
    },
    cut(is) {
      isCutting = is;
      for (const pair of pairs) {
        clearTimeout(pair.timer);
        if (is) plan(pair);
      }
    },
    close() {
      for (const pair of [...pairs]) end(pair, "both");
      server.close();
    },
  };
}
