"""Starts the scoring server of a container, as v1's service images did: every interface, port 5001, settings from the environment.

Runs on every Python the scoring server ran on, so no syntax newer than Python 3.6.

With AKSML_HEALTH_PORT, a process of its own answers there: /ready once init() has returned in every worker, for which it waits a moment,
/live always. Probes that the workers had to answer would wait behind a long scoring call.
"""

import _socket
import os


def listen_for_probes():
    """Before anything else is loaded: a container that runs is asked at once, and after a refusal not for another second."""
    port = os.environ.get("AKSML_HEALTH_PORT")
    if not port:
        return None
    listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", int(port)))
    listener.listen(16)
    return listener.detach()


HEALTH_LISTENER = listen_for_probes()

import socket
import sys
import time

import aksml_server

APP_ROOT = "/var/azureml-app"


class Health:
    """Tells a process that was forked off early which workers are ready, over a pipe whose end is this server's end."""

    def __init__(self, listener, workers):
        self.reader, self.writer = os.pipe()
        listener = socket.socket(fileno=listener)
        if os.fork() == 0:
            os.close(self.writer)
            try:
                answer_probes(listener, self.reader, workers)
            finally:
                os._exit(0)
        os.close(self.reader)
        listener.close()

    def worker_ready(self, pid):
        os.write(self.writer, "+{}\n".format(pid).encode())

    def worker_gone(self, pid):
        os.write(self.writer, "-{}\n".format(pid).encode())


# Seconds that a probe waits for init(). Less than the shortest time-out of one, after which the next follows at once: a replica is ready
# when it can be, not at the next whole second.
PATIENCE = 0.9


def answer_probes(listener, reader, workers):
    import select

    pending, ready, complete, waiting = b"", set(), False, []
    while True:
        patience = max(0, waiting[0][1] - time.monotonic()) if waiting else None
        readable, _, _ = select.select([listener, reader], [], [], patience)
        if reader in readable:
            told = os.read(reader, 4096)
            if not told:
                return
            lines = (pending + told).split(b"\n")
            pending = lines.pop()
            for line in lines:
                (ready.add if line[:1] == b"+" else ready.discard)(line[1:])
            complete = complete or len(ready) >= workers
        if listener in readable:
            connection, asks_alive = accept_probe(listener)
            if asks_alive:
                answer_probe(connection, True)
            elif connection:
                waiting.append((connection, time.monotonic() + PATIENCE))
        while waiting and (complete or waiting[0][1] <= time.monotonic()):
            answer_probe(waiting.pop(0)[0], complete and len(ready) > 0)


def accept_probe(listener):
    """The connection, and whether it asks for no more than life."""
    try:
        connection, _ = listener.accept()
    except OSError:
        return None, False
    try:
        connection.settimeout(1)
        return connection, b" /live " in connection.recv(4096).split(b"\r\n")[0]
    except OSError:
        connection.close()
        return None, False


def answer_probe(connection, good):
    answer = b"HTTP/1.1 200 OK" if good else b"HTTP/1.1 503 init() has not returned yet"
    try:
        with connection:
            connection.sendall(answer + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    except OSError:
        pass  # the prober has gone


class Hooks:
    """What gunicorn tells of its workers. A worker's own ones run in the worker, `child_exit` in the server."""

    def __init__(self, health):
        self.health = health
        self.started_reader, self.started_writer = os.pipe()
        os.set_blocking(self.started_reader, False)
        self.started = set()

    def post_worker_init(self, worker):
        os.write(self.started_writer, "{}\n".format(worker.pid).encode())
        if self.health:
            self.health.worker_ready(worker.pid)

    def child_exit(self, server, worker):
        if self.health:
            self.health.worker_gone(worker.pid)
        aksml_server.halt_unless_ready(server, self.was_ready(worker.pid))

    def was_ready(self, pid):
        try:
            while True:
                told = os.read(self.started_reader, 65536)
                self.started.update(int(line) for line in told.split())
        except BlockingIOError:
            return pid in self.started


def main():
    # The user's modules must not be shadowed by what lies beside this file.
    sys.path.pop(0)
    workers = int(os.environ.get("WORKER_COUNT", "1"))
    hooks = Hooks(None if HEALTH_LISTENER is None else Health(HEALTH_LISTENER, workers))
    os.environ.setdefault("AML_APP_ROOT", APP_ROOT)
    aksml_server.prepare()
    os.chdir(os.environ["AML_APP_ROOT"])
    address = "0.0.0.0:{}".format(os.environ.get("SERVER_PORT", "5001"))
    arguments = aksml_server.gunicorn_arguments(address, workers)
    # What is being scored when the container is stopped is answered.
    arguments += ["--graceful-timeout", str(int(aksml_server.scoring_timeout()) + 1)]
    # /tmp may be on a disk, where gunicorn's heartbeat can stall.
    if os.access("/dev/shm", os.W_OK):
        arguments += ["--worker-tmp-dir", "/dev/shm"]
    settings = {"post_worker_init": hooks.post_worker_init, "child_exit": hooks.child_exit}
    aksml_server.run_gunicorn(arguments, settings)


main()
