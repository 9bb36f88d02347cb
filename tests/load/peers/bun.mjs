// Bun's own publish/subscribe. A message of the publisher is a topic, a space and a payload.
const port = Number(process.argv[2]);

Bun.serve({
  hostname: "127.0.0.1",
  port,
  fetch(request, server) {
    const topic = new URL(request.url).pathname.replace(/^\/sub\//, "");
    return server.upgrade(request, { data: { topic } }) ? undefined : new Response("", { status: 426 });
  },
  websocket: {
    idleTimeout: 0,
    perMessageDeflate: false,
    open(socket) {
      if (socket.data.topic !== "/pub") {
        socket.subscribe(socket.data.topic);
      }
    },
    message(socket, message) {
      const space = message.indexOf(" ");
      socket.publish(message.slice(0, space), message.slice(space + 1));
    },
  },
});
