// The programs of a run: a durable Redis, and servers, each of which can be killed and restarted.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";

const START_MS = 20_000;

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

async function answers(port) {
  const until = Date.now() + START_MS;
  while (Date.now() < until) {
    const socket = connect(port, "127.0.0.1");
    const is = await new Promise((resolve) => socket.on("connect", () => resolve(true)).on("error", () => resolve(false)));
    socket.destroy();
    if (is) return;
    await pause(20);
  }
  throw new Error(`nothing answers on port ${port} after ${START_MS} ms`);
}

/** A program on a port. `restart` kills it as a power failure would, and starts it again after `downMs`. */
async function program(command, args, port) {
  let child;
  const start = async () => {
    child = spawn(command, args, { stdio: ["ignore", "ignore", process.env.DROPS_LOGS ? "inherit" : "ignore"] });
    child.on("error", (error) => console.error(`cannot start ${command}: ${error.message}`));
    await answers(port);
  };
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  await start();
  return {
    port,
    kill,
    async restart(downMs) {
      await kill();
      await pause(downMs);
      await start();
    },
  };
}

/** A Redis that has everything on disk that it has confirmed. */
export async function redis() {
  const folder = await mkdtemp(join(tmpdir(), "drops-"));
  const port = await freePort();
  const options = { port, bind: "127.0.0.1", dir: folder, appendonly: "yes", appendfsync: "always", save: "" };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const server = await program("redis-server", args, port);
  return {
    ...server,
    async remove() {
      await server.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A message server; `argsOf(port)` returns its arguments for a port. */
export async function messageServer(command, argsOf) {
  const port = await freePort();
  return await program(command, argsOf(port), port);
}
