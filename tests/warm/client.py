"""Stands in for Python where a test starts one: asks tests/warm/server.py for a fork, and lives as long as that.

Run by the script that the fixture ``warm_python`` writes: client.py SOCKET ARGUMENT...
"""

import json
import os
import signal
import socket
import sys

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until there is a fork that they are for
place, *arguments = sys.argv[1:]
server = socket.socket(socket.AF_UNIX)
server.connect(place)
socket.send_fds(server, [b"."], [0, 1, 2])
told = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
server.sendall(json.dumps(told).encode() + b"\n")
answers = server.makefile()
child = int(answers.readline())
for number in SIGNALS:
    signal.signal(number, lambda number, _: os.kill(child, number))
signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
status = int(answers.readline())
if status < 0:
    if status != -signal.SIGKILL:
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
