// Counts what arrives over connections that are cut again and again, while the server and its Redis are killed, for
// Tidegate and for socket.io. `cargo xtask bench drops` runs it.
import { parseArgs } from "node:util";
import { setTimeout as pause } from "node:timers/promises";

import { contestants } from "./contestants.mjs";
import { flaky } from "./flaky.mjs";
import { messageServer, redis } from "./processes.mjs";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "45" },
    clients: { type: "string", default: "50" },
    rate: { type: "string", default: "20" },
    "every-ms": { type: "string", default: "2000" },
    seed: { type: "string", default: "1" },
    only: { type: "string", multiple: true },
  },
});
const seconds = Number(values.seconds);
const rate = Number(values.rate);
/** How long clients have after the last cut to catch up. */
const SETTLE_MS = 60_000;
const DOWN_MS = 500;

/** Counts which of the published numbers 0, 1, 2, … the clients received. */
function ledger(count) {
  const each = Array.from({ length: count }, () => ({ seen: new Set(), last: -1, repeats: 0, late: 0, resets: 0 }));
  return {
    each,
    one(index, number) {
      const mine = each[index];
      if (mine.seen.has(number)) {
        mine.repeats += 1;
        return;
      }
      mine.seen.add(number);
      if (number < mine.last) mine.late += 1;
      mine.last = Math.max(mine.last, number);
    },
    reset(index) {
      each[index].resets += 1;
    },
    everybodyHas: (number) => each.every((mine) => mine.seen.has(number)),
    sum: (of) => each.reduce((sum, mine) => sum + of(mine), 0),
  };
}

/** Publishes until the server confirms. Repeats have the same id, if the system knows ids. */
async function publish(who, port, number) {
  const { url, body } = who.publish(port, number);
  for (;;) {
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(5_000),
      });
      await response.arrayBuffer();
      if (response.ok) return;
    } catch {
      // The server is down: try again until it is back.
    }
    await pause(50);
  }
}

async function run(who, { kills }) {
  const store = await redis();
  const { command, args } = await who.server(store.port);
  const server = await messageServer(command, args);
  const way = await flaky(server.port, Number(values["every-ms"]), Number(values.seed));
  const count = Math.min(Number(values.clients), who.most ?? Number.POSITIVE_INFINITY);
  const heard = ledger(count);
  const leave = await who.clients(way.port, count, heard);

  // Nothing counts before all clients are listening.
  let number = 0;
  do {
    await publish(who, server.port, number);
    number += 1;
    await pause(100);
  } while (!heard.everybodyHas(number - 1));
  const first = number;

  way.cut(true);
  const begun = Date.now();
  const mishaps = kills
    ? [
        { at: seconds / 3, happen: () => server.restart(DOWN_MS) },
        { at: (2 * seconds) / 3, happen: () => store.restart(DOWN_MS) },
      ]
    : [];
  const happening = [];
  while (Date.now() - begun < seconds * 1000) {
    while (mishaps.length > 0 && Date.now() - begun >= mishaps[0].at * 1000) happening.push(mishaps.shift().happen());
    await publish(who, server.port, number);
    number += 1;
    await pause(Math.max(0, begun + ((number - first) * 1000) / rate - Date.now()));
  }
  await Promise.all(happening);
  way.cut(false);
  await publish(who, server.port, number);
  const until = Date.now() + SETTLE_MS;
  while (!heard.everybodyHas(number) && Date.now() < until) await pause(100);
  // What is still missing will not arrive.
  await pause(1000);
  await leave();
  way.close();
  await server.kill();
  await store.remove();

  const published = number - first;
  const isCounted = (each) => each >= first && each < number;
  const delivered = heard.sum((mine) => [...mine.seen].filter(isCounted).length);
  return {
    count,
    published,
    cuts: way.cuts,
    expected: published * count,
    delivered,
    repeats: heard.sum((mine) => mine.repeats),
    late: heard.sum((mine) => mine.late),
    resets: heard.sum((mine) => mine.resets),
  };
}

const SCENARIOS = { "connections cut": { kills: false }, "and server and Redis killed": { kills: true } };

console.log(`each connection cut every ${values["every-ms"]} ms on average, ${rate} publications/s for ${seconds} s, seed ${values.seed}\n`);
console.log("| | | clients | cuts | published | delivered | of what was due | twice | out of order | told of a loss |");
console.log("|---|---|---|---|---|---|---|---|---|---|");
for (const [scenario, options] of Object.entries(SCENARIOS)) {
  for (const [name, who] of Object.entries(contestants)) {
    if (values.only !== undefined && !values.only.some((part) => name.includes(part))) continue;
    process.stderr.write(`${scenario}: ${name} …\r`);
    const got = await run(who, options);
    const share = ((100 * got.delivered) / got.expected).toFixed(3);
    const cells = [scenario, name, got.count, got.cuts, got.published, got.delivered, `${share} %`, got.repeats, got.late, got.resets];
    console.log(`| ${cells.join(" | ")} |`);
  }
}
process.exit(0);
