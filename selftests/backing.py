"""A backing device that does what a test tells it to, and calls that wait for it.

The device is a network block device whose server is this process: its requests can be held, refused, and looked into.
"""

import ctypes
import errno
import fcntl
import os
import signal
import socket
import struct
import threading
import time

from pages import PAGE
from sides import attempt

# Whoever waits this long for something that is about to happen waits in vain.
PATIENCE = 20 * int(os.environ.get("SLOWER", "1"))

libc = ctypes.CDLL(None, use_errno=True)


def never(kind, block):
    return False


class Server:
    """A device of so many blocks, of a page each. `hold` says which requests wait for release(), `fail` which get EIO."""

    DO = {"socket": 0xAB00, "block size": 0xAB01, "run": 0xAB03, "clear": 0xAB04, "blocks": 0xAB07}
    READ, WRITE, END = 0, 1, 2

    def __init__(self, path, blocks=1024):
        self.path, self.blocks = path, blocks
        self.data = bytearray(blocks * PAGE)
        self.change = threading.Condition()
        self.hold = self.fail = never
        self.held, self.written = [], 0
        self.ours, self.theirs = socket.socketpair()
        self.device = os.open(path, os.O_RDWR)
        self.do("block size", PAGE)
        self.do("blocks", blocks)
        self.do("socket", self.theirs.fileno())
        self.threads = [
            threading.Thread(target=attempt, args=(self.do, "run"), daemon=True),
            threading.Thread(target=self.serve, daemon=True)
        ]
        for thread in self.threads:
            thread.start()
        queue = f"/sys/block/{os.path.basename(path)}"
        while int(self.file(f"{queue}/size")) == 0:
            time.sleep(0.01)
        # Each request comes as it is sent, at once: none is merged or throttled.
        self.file(f"{queue}/queue/nomerges", "2")
        attempt(self.file, f"{queue}/queue/wbt_lat_usec", "0")

    def file(self, path, text=None):
        with open(path, "w" if text else "r", encoding="ascii") as file:
            return file.write(text) if text else file.read()

    def do(self, what, argument=0):
        fcntl.ioctl(self.device, self.DO[what], argument)

    def receive(self, length):
        data = b""
        while len(data) < length:
            part = self.ours.recv(length - len(data))
            if not part:
                raise ConnectionResetError
            data += part
        return data

    def serve(self):
        try:
            while True:
                _, kind, handle, offset, length = struct.unpack(">II8sQI", self.receive(28))
                kind &= 0xFFFF
                if kind == self.END:
                    return
                request = kind, handle, offset, self.receive(length) if kind == self.WRITE else length
                with self.change:
                    if self.hold(kind, offset // PAGE):
                        self.held.append(request)
                    else:
                        self.answer(*request)
                    self.change.notify_all()
        except OSError:
            pass

    def answer(self, kind, handle, offset, data):
        if self.fail(kind, offset // PAGE):
            self.ours.sendall(struct.pack(">II8s", 0x67446698, errno.EIO, handle))
            return
        reply = struct.pack(">II8s", 0x67446698, 0, handle)
        if kind == self.WRITE:
            self.data[offset:offset + len(data)] = data
            self.written += 1
        elif kind == self.READ:
            reply += self.data[offset:offset + data]
        self.ours.sendall(reply)

    def release(self):
        with self.change:
            self.hold = never
            for request in self.held:
                attempt(self.answer, *request)
            self.held.clear()

    def calm(self):
        """Answer all requests, at once and well."""
        self.fail = never
        self.release()

    def waits(self, count, seconds=PATIENCE):
        """Whether so many requests wait, or will within this time."""
        with self.change:
            return self.change.wait_for(lambda: len(self.held) >= count, seconds)

    def block(self, index):
        return bytes(self.data[index * PAGE:(index + 1) * PAGE])

    def pull(self):
        """As if somebody pulled the plug: requests fail from now on."""
        self.ours.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(PATIENCE)
        self.do("clear")

    def end(self):
        """When nobody uses the device any more."""
        attempt(self.pull)
        os.close(self.device)
        self.ours.close()
        self.theirs.close()


class Background:
    """A call in a thread."""

    def __init__(self, function, *arguments):
        self.result = None
        self.thread = threading.Thread(target=lambda: setattr(self, "result", function(*arguments)), daemon=True)
        self.thread.start()

    def ends(self, seconds=PATIENCE):
        self.thread.join(seconds)
        return not self.thread.is_alive()


class Write(Background):
    """One write to a file, in a thread that can be sent a signal. The result is that of Side.put."""

    def __init__(self, path, data):
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.siginterrupt(signal.SIGUSR1, True)
        super().__init__(self.write, path, data)

    def write(self, path, data):
        fd = os.open(path, os.O_WRONLY)
        done = libc.write(fd, data, len(data))
        number = ctypes.get_errno()
        os.close(fd)
        return "all" if done == len(data) else errno.errorcode.get(number, done)

    def interrupt(self):
        signal.pthread_kill(self.thread.ident, signal.SIGUSR1)
