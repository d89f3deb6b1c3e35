# SPDX-License-Identifier: Apache-2.0
"""Exec, Attach and PortForward through the URL that the call returns, over a websocket (v4.channel.k8s.io): the first
byte of each frame is the number of a channel."""
import json
import os
import struct
import sys
import threading

import websocket

STDIN, STDOUT, STDERR, STATUS, RESIZE = range(5)
PROTOCOL = "v4.channel.k8s.io"
FLAGS, VALUES = ("--tty", "--stdin"), ("--resize", "--until")
SILENCE = 60  # seconds without a frame, after which the stream counts as stuck


def take_options(words):
    """Gives the options as a dict, and the words after them."""
    options, words = {}, list(words)
    while words and words[0] in FLAGS + VALUES:
        name = words.pop(0)
        options[name] = words.pop(0) if name in VALUES else True
    return options, words


class Stream:
    def __init__(self, url, until=None):
        self.until, self.received = until and until.encode(), b""
        assert url.startswith("http://"), url
        self.socket = websocket.create_connection("ws" + url[4:], subprotocols=[PROTOCOL], timeout=SILENCE)

    def send(self, channel, data):
        self.socket.send_binary(bytes([channel]) + data)

    def send_stdin(self):
        """In the background. The protocol cannot say that stdin has ended."""
        def copy():
            while data := os.read(0, 65536):
                self.send(STDIN, data)
        threading.Thread(target=copy, daemon=True).start()

    def frames(self):
        """(channel, data) of each frame, until the other side closes or `until` was received."""
        while True:
            try:
                operation, frame = self.socket.recv_data()
            except websocket.WebSocketConnectionClosedException:
                return
            if operation == websocket.ABNF.OPCODE_CLOSE:
                return
            yield frame[0], frame[1:]
            if self.until and self.until in self.received:
                return

    def show(self, data, output=sys.stdout):
        self.received += data
        output.buffer.write(data)
        output.flush()


def exit_status(status):
    """Of the JSON that ends a stream: the command's, 0, or 125 with the reason on stderr."""
    answer = json.loads(status)
    if answer["status"] == "Success":
        return 0
    for cause in (answer.get("details") or {}).get("causes") or []:
        if cause["reason"] == "ExitCode":
            return int(cause["message"])
    print(answer.get("message"), file=sys.stderr)
    return 125


def run_streams(url, options):
    stream, status = Stream(url, options.get("--until")), b""
    if "--resize" in options:
        rows, columns = options["--resize"].split("x")
        stream.send(RESIZE, json.dumps({"Width": int(columns), "Height": int(rows)}).encode())
    if "--stdin" in options:
        stream.send_stdin()
    for channel, data in stream.frames():
        if channel == STATUS:
            status += data
        elif channel in (STDOUT, STDERR):
            stream.show(data, sys.stderr if channel == STDERR else sys.stdout)
    return exit_status(status) if status else 0


def request_of(options, container):
    tty = "--tty" in options
    return {"container_id": container, "tty": tty, "stdin": "--stdin" in options, "stdout": True, "stderr": not tty}


def run_exec(runtime, words):
    options, (container, *command) = take_options(words)
    return run_streams(runtime.call("Exec", cmd=command, **request_of(options, container)).url, options)


def run_attach(runtime, words):
    options, (container,) = take_options(words)
    return run_streams(runtime.call("Attach", **request_of(options, container)).url, options)


def run_port_forward(runtime, words):
    """Each channel begins with the port's number from the server: 0 has the data, 1 the errors."""
    options, (pod, port) = take_options(words)
    stream = Stream(runtime.call("PortForward", pod_sandbox_id=pod, port=[int(port)]).url, options.get("--until"))
    stream.send_stdin()
    pending, errors = {0: b"", 1: b""}, b""
    begun = set()
    for channel, data in stream.frames():
        if channel not in begun:
            pending[channel] += data
            if len(pending[channel]) < 2:
                continue
            assert struct.unpack("<H", pending[channel][:2]) == (int(port),), "another port"
            begun.add(channel)
            data = pending[channel][2:]
        if channel == 0:
            stream.show(data)
        else:
            errors += data
    sys.stderr.buffer.write(errors)
    return 125 if errors else 0
