# SPDX-License-Identifier: GPL-2.0-only
"""A backing device that does what a test tells it to: a network block device whose server is this process. Its requests can be
held, refused, and looked into."""

import errno
import fcntl
import os
import socket
import struct
import threading
import time

from zramtest.files import errno_or, read, write
from zramtest.pages import PAGE
from zramtest.tasks import PATIENCE

REQUEST, REPLY = ">II8sQI", ">II8s"
REPLY_MAGIC = 0x67446698


def never(kind, block):
    """Says of no request that it is to be held, or to fail."""
    return False


class Server:
    """A device of so many blocks, of a page each. `hold` says which requests wait for release(), `fail` which get EIO."""

    IOCTLS = {"socket": 0xAB00, "block size": 0xAB01, "run": 0xAB03, "clear": 0xAB04, "blocks": 0xAB07}
    READ, WRITE, END = 0, 1, 2

    def __init__(self, path, blocks=1024):
        self.path, self.blocks = path, blocks
        self.data = bytearray(blocks * PAGE)
        self.change = threading.Condition()
        self.hold = self.fail = never
        self.held, self.written = [], 0
        self.ours, self.theirs = socket.socketpair()
        self.device = os.open(path, os.O_RDWR)
        self.control("block size", PAGE)
        self.control("blocks", blocks)
        self.control("socket", self.theirs.fileno())
        self.threads = [
            threading.Thread(target=errno_or, args=(self.control, "run"), daemon=True),
            threading.Thread(target=self.serve, daemon=True)
        ]
        for thread in self.threads:
            thread.start()
        queue = f"/sys/block/{os.path.basename(path)}"
        while int(read(f"{queue}/size")) == 0:
            time.sleep(0.01)
        # Each request comes as it is sent, at once: none is merged or throttled.
        write(f"{queue}/queue/nomerges", 2)
        errno_or(write, f"{queue}/queue/wbt_lat_usec", 0)

    def control(self, what, argument=0):
        """Does one of the ioctls of nbd."""
        fcntl.ioctl(self.device, self.IOCTLS[what], argument)

    def receive(self, length):
        """Returns that many bytes from the kernel."""
        data = b""
        while len(data) < length:
            part = self.ours.recv(length - len(data))
            if not part:
                raise ConnectionResetError
            data += part
        return data

    def serve(self):
        """Answers, or holds, all requests until the kernel is done with the device."""
        try:
            while True:
                _, kind, handle, offset, length = struct.unpack(REQUEST, self.receive(struct.calcsize(REQUEST)))
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
        """Does what a request asks for, or refuses it."""
        if self.fail(kind, offset // PAGE):
            self.ours.sendall(struct.pack(REPLY, REPLY_MAGIC, errno.EIO, handle))
            return
        reply = struct.pack(REPLY, REPLY_MAGIC, 0, handle)
        if kind == self.WRITE:
            self.data[offset:offset + len(data)] = data
            self.written += len(data) // PAGE
        elif kind == self.READ:
            reply += self.data[offset:offset + data]
        self.ours.sendall(reply)

    def release(self):
        """Answers the requests that are held, and holds no more."""
        with self.change:
            self.hold = never
            for request in self.held:
                errno_or(self.answer, *request)
            self.held.clear()

    def calm(self):
        """Answers all requests, at once and well."""
        self.fail = never
        self.release()

    def waits(self, count, seconds=PATIENCE):
        """Returns whether requests for so many blocks are held, or will be within this time."""

        def held():
            return sum(data if kind == self.READ else len(data) for kind, _, _, data in self.held) // PAGE

        with self.change:
            return self.change.wait_for(lambda: held() >= count, seconds)

    def block(self, index):
        """Returns what is in a block."""
        return bytes(self.data[index * PAGE:(index + 1) * PAGE])

    def pull(self):
        """Goes away, as if somebody pulled the plug: requests fail from now on."""
        self.ours.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(PATIENCE)
        self.control("clear")

    def end(self):
        """Ends the server, when nobody uses the device any more."""
        errno_or(self.pull)
        os.close(self.device)
        self.ours.close()
        self.theirs.close()
