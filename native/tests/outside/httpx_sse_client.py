"""Follows a stream of Server-Sent Events with the packages `httpx` and `httpx-sse`.

Prints each event as a line of JSON. Connects again when the connection is lost, and resumes by the last event's id; ends when
the server answers that nothing is to come (204), with status 1 when it refuses.
"""

import json
import sys
import time

import httpx
from httpx_sse import connect_sse

RETRY_S = 0.1


def follow(client, url, headers):
    """Prints events until the connection is lost; a status once there is nothing more to ask for."""
    with connect_sse(client, "GET", url, headers=headers) as source:
        status = source.response.status_code
        if status == 204:
            return 0
        if status != 200:
            source.response.read()
            print(json.dumps({"event": "refused", "status": status, "data": source.response.json()}), flush=True)
            return 1
        for event in source.iter_sse():
            if not event.data:
                continue  # This package makes an event of what has no data, too: a comment, say.
            headers["Last-Event-ID"] = event.id
            print(json.dumps({"event": event.event, "id": event.id, "data": event.json()}), flush=True)
    return None


def main(url, *headers):
    headers = dict(header.split(": ", 1) for header in headers)
    with httpx.Client(timeout=None) as client:
        while True:
            try:
                status = follow(client, url, headers)
                if status is not None:
                    return status
            except httpx.TransportError:
                pass
            time.sleep(RETRY_S)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
