"""Follows a stream of Server-Sent Events with the package `sseclient-py`, over what Python has by itself.

Prints, resumes and ends as the client beside it, `httpx_sse_client.py`.
"""

import http.client
import json
import sys
import time
import urllib.error
import urllib.request

from sseclient import SSEClient

RETRY_S = 0.1


def follow(url, headers):
    """Prints events until the connection is lost; a status once there is nothing more to ask for."""
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers))
    except urllib.error.HTTPError as refusal:
        print(json.dumps({"event": "refused", "status": refusal.code, "data": json.load(refusal)}), flush=True)
        return 1
    if response.status == 204:
        return 0
    for event in SSEClient(response).events():
        headers["Last-Event-ID"] = event.id
        print(json.dumps({"event": event.event, "id": event.id, "data": json.loads(event.data)}), flush=True)
    return None


def main(url, *headers):
    headers = dict(header.split(": ", 1) for header in headers)
    while True:
        try:
            status = follow(url, headers)
            if status is not None:
                return status
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(RETRY_S)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
