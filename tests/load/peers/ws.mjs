// A set of sockets for each topic, and a loop. A message of the publisher is a topic, a space and a payload.
import { WebSocketServer } from "ws";

const topics = new Map();
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });

server.on("connection", (socket, request) => {
  if (request.url === "/pub") {
    socket.on("message", (data) => {
      const message = data.toString();
      const space = message.indexOf(" ");
      const payload = Buffer.from(message.slice(space + 1));
      for (const subscriber of topics.get(message.slice(0, space)) ?? []) {
        subscriber.send(payload, { binary: false });
      }
    });
    return;
  }
  const topic = request.url.replace(/^\/sub\//, "");
  const subscribers = topics.get(topic) ?? new Set();
  topics.set(topic, subscribers.add(socket));
  socket.on("close", () => subscribers.delete(socket));
});
