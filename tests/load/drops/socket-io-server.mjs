// socket.io set up as its documentation recommends for recovery across servers: Redis Streams and connection state
// recovery.
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const [, , port, redisPort] = process.argv;
const redis = createClient({ url: `redis://127.0.0.1:${redisPort}` });
redis.on("error", () => {});
await redis.connect();

const http = createServer((request, response) => {
  let body = "";
  request.on("data", (chunk) => {
    body += chunk;
  });
  request.on("end", () => {
    io.to("topic").emit("pub", JSON.parse(body));
    response.end("{}");
  });
});
const io = new Server(http, {
  adapter: createAdapter(redis),
  connectionStateRecovery: { maxDisconnectionDuration: 120_000, skipMiddlewares: true },
});
io.on("connection", (socket) => {
  socket.join("topic");
  socket.emit("ready");
});
http.listen(Number(port), "127.0.0.1");
