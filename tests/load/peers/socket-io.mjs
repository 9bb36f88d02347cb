// A room for each topic.
import { createServer } from "node:http";
import { Server } from "socket.io";

const server = createServer();
const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false });

io.on("connection", (socket) => {
  socket.on("join", (topic, joined) => {
    socket.join(topic);
    joined();
  });
  socket.on("pub", (topic, payload) => io.to(topic).emit("pub", payload));
});
server.listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });
