// The systems that are compared: how to start each one's server, publish to it, and listen to it.
import { once } from "node:events";
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { setTimeout as pause } from "node:timers/promises";

const TOPIC = "job:drops";
/** How many publications are kept for clients that reconnect: as many as socket.io's adapter keeps by default. */
const KEPT = "10000";
/** A stream that is silent for this long is dead: a comment comes every 15 s. */
const SILENCE_MS = 20_000;
const environment = (name) => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} must be set: \`cargo xtask bench drops\` does so`);
  return value;
};
const packageFolder = () => environment("TIDEGATE_PACKAGE");

const tidegateServer = (redisPort, more = []) => ({
  command: environment("TIDEGATE_BIN"),
  args: (port) => ["serve", "--listen", `127.0.0.1:${port}`, "--backend", `redis://127.0.0.1:${redisPort}`, "--history", KEPT, ...more],
});

const publishToTidegate = (port, number) => ({
  url: `http://127.0.0.1:${port}/publish`,
  body: { topic: TOPIC, data: number, id: String(number) },
});

/** `count` clients of the npm package, each with a connection of its own. */
async function packageClients(port, count, heard) {
  const { connect } = await import(pathToFileURL(join(packageFolder(), "dist/index.js")).href);
  const all = Array.from({ length: count }, (_, index) => {
    const tide = connect(`http://127.0.0.1:${port}`, { tabs: "off" });
    tide.on("error", () => {});
    tide.subscribe(TOPIC, { onReset: () => heard.reset(index) }, ({ data }) => heard.one(index, data));
    return tide;
  });
  return () => {
    for (const tide of all) tide.close();
  };
}

/** Reads an event stream as any program would: it keeps the last id, and sends it when it reconnects. */
async function readEvents(url, index, heard, ending) {
  let lastId;
  while (!ending.aborted) {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), SILENCE_MS);
    try {
      const headers = lastId === undefined ? {} : { "last-event-id": lastId };
      const response = await fetch(url, { headers, signal: AbortSignal.any([ending, silence.signal]) });
      let text = "";
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        timer.refresh();
        const events = (text + chunk).split("\n\n");
        text = events.pop();
        for (const event of events) {
          const fields = Object.fromEntries(event.split("\n").map((line) => line.split(/: ?(.*)/s, 2)));
          if (fields.id !== undefined) lastId = fields.id;
          if (fields.data === undefined) continue;
          const frame = JSON.parse(fields.data);
          if (frame.type === "reset") heard.reset(index);
          if (frame.type === "pub") heard.one(index, frame.data);
        }
      }
    } catch {
      // The connection was cut: reconnect, as an EventSource does.
    }
    clearTimeout(timer);
    await pause(200, undefined, { signal: ending }).catch(() => {});
  }
}

async function eventStreams(port, count, heard) {
  const ending = new AbortController();
  const url = `http://127.0.0.1:${port}/events?topic=${TOPIC}`;
  const all = Array.from({ length: count }, (_, index) => readEvents(url, index, heard, ending.signal));
  return async () => {
    ending.abort();
    await Promise.all(all);
  };
}

/** Pages of one browser that share a connection. */
const tabs = {
  most: 8,
  publish: publishToTidegate,
  async server(redisPort) {
    this.front = await pagesServer();
    return tidegateServer(redisPort, ["--origin", this.front.url]);
  },
  async clients(port, count, heard) {
    const driver = join(packageFolder(), "node_modules/playwright-core/index.mjs");
    const { chromium } = await import(pathToFileURL(driver).href);
    const browser = await chromium.launch({ executablePath: environment("CHROMIUM"), args: ["--no-sandbox"] });
    const context = await browser.newContext();
    for (let index = 0; index < count; index += 1) {
      const page = await context.newPage();
      await page.exposeFunction("heardOne", (data) => heard.one(index, data));
      await page.exposeFunction("heardReset", () => heard.reset(index));
      await page.goto(`${this.front.url}/?server=http://127.0.0.1:${port}&topic=${TOPIC}`);
    }
    return async () => {
      await browser.close();
      this.front.close();
    };
  },
};

const PAGE = `<!doctype html><title>tab</title><script type="module">
import { connect } from "/dist/index.js";
const query = new URLSearchParams(location.search);
const tide = connect(query.get("server"));
tide.on("error", () => {});
tide.subscribe(query.get("topic"), { onReset: () => heardReset() }, ({ data }) => heardOne(data));
</script>`;

async function pagesServer() {
  const types = { ".js": "text/javascript", ".wasm": "application/wasm" };
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, "http://front").pathname);
    if (path === "/") {
      response.writeHead(200, { "content-type": "text/html" }).end(PAGE);
      return;
    }
    const body = await readFile(join(packageFolder(), path)).catch(() => undefined);
    response.writeHead(body ? 200 : 404, { "content-type": types[extname(path)] ?? "text/plain" }).end(body);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

async function socketIoClients(port, count, heard) {
  const { io } = await import("socket.io-client");
  const all = Array.from({ length: count }, (_, index) => {
    const socket = io(`http://127.0.0.1:${port}`, { transports: ["websocket"], forceNew: true, reconnectionDelayMax: 1000 });
    let isBack = false;
    socket.on("connect", () => {
      if (isBack && !socket.recovered) heard.reset(index);
      isBack = true;
    });
    socket.on("pub", (data) => heard.one(index, data));
    return socket;
  });
  return () => {
    for (const socket of all) socket.disconnect();
  };
}

const here = dirname(fileURLToPath(import.meta.url));

/**
 * Each has `server(redisPort)`, which may be asynchronous, `publish(port, number)` and `clients(port, count, heard)`.
 */
export const contestants = {
  "tidegate, WebSocket": { server: tidegateServer, publish: publishToTidegate, clients: packageClients },
  "tidegate, event streams": { server: tidegateServer, publish: publishToTidegate, clients: eventStreams },
  "tidegate, tabs of a browser": tabs,
  "socket.io, recovery": {
    server: (redisPort) => ({
      command: process.execPath,
      args: (port) => [join(here, "socket-io-server.mjs"), String(port), String(redisPort)],
    }),
    publish: (port, number) => ({ url: `http://127.0.0.1:${port}/`, body: number }),
    clients: socketIoClients,
  },
};
