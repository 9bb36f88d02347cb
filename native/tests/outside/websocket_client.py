"""Follows a pattern over a WebSocket, by nothing but the protocol's document and the package `websockets`.

Prints each frame as a line of JSON. Connects again when the connection is lost, and resumes. Ends with the pattern's
topic; ends with status 1 where the server says that trying again would not help. Lines of standard input are sent as
they are.
"""

import argparse
import asyncio
import json
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

FINAL = {1002, 1003, 1007, 1008, 1009, 4401, 4409}


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("pattern")
    parser.add_argument("--token")
    parser.add_argument("--by", choices=["header", "subprotocol", "cookie", "frame"])
    parser.add_argument("--beginning", action="store_true", help="begin with all that is kept")
    return parser.parse_args()


def handshake(options):
    """What the request for the connection says."""
    subprotocols, headers = ["tidegate.v1.json"], {}
    if options.by == "header":
        headers["Authorization"] = f"Bearer {options.token}"
    elif options.by == "cookie":
        headers["Cookie"] = f"tidegate_token={options.token}"
    elif options.by == "subprotocol":
        subprotocols.append(f"tidegate.token.{options.token}")
    return {"subprotocols": subprotocols, "additional_headers": headers}


def opening(options, since):
    """The first frames of a connection."""
    hello = {"type": "hello", "client": "websocket_client.py"}
    if options.by == "frame":
        hello["token"] = options.token
    subscribe = {"type": "subscribe", "pattern": options.pattern}
    if since or options.beginning:
        subscribe["since"] = list(since.values())
    return json.dumps([hello, subscribe])


async def follow(socket, since):
    """Prints frames until the connection is lost; true after the end."""
    async for message in socket:
        frames = json.loads(message)
        for frame in frames if isinstance(frames, list) else [frames]:
            print(json.dumps(frame), flush=True)
            if frame["type"] == "ping":
                await socket.send('{"type":"pong"}')
            elif frame["type"] in ("pub", "reset"):
                since[frame["topic"]] = {key: frame[key] for key in ("topic", "epoch", "offset")}
            elif frame["type"] == "end":
                return True
    return False


async def send_lines(socket):
    """Sends what is written to standard input."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        await socket.send(line.rstrip("\n"))


async def main():
    options = arguments()
    since = {}
    async for socket in connect(options.url, **handshake(options)):
        sending = asyncio.create_task(send_lines(socket))
        try:
            await socket.send(opening(options, since))
            if await follow(socket, since):
                return 0
        except ConnectionClosed as closed:
            if closed.rcvd is not None and closed.rcvd.code in FINAL:
                print(json.dumps({"type": "closed", "code": closed.rcvd.code}), flush=True)
                return 1
        finally:
            sending.cancel()


if __name__ == "__main__":
    status = asyncio.run(main())
    sys.exit(status)
