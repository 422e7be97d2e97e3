"""Starts the scoring server of a container, as v1's service images did: every interface, port 5001, settings from the environment.

What scores is the unchanged application of azureml-inference-server-http. Runs on every Python the scoring server ran on, so no syntax
newer than Python 3.6.

With AKSML_HEALTH_PORT, a process of its own answers there: /ready once init() has returned in every worker, /live always. Probes that the
workers had to answer would wait behind a long scoring call.
"""

import os
import socket
import sys
import time

APP = "azureml_inference_server_http.server.entry:app"
APP_ROOT = "/var/azureml-app"


def prepare():
    """What `azmlinfsrv` does between its arguments and the server."""
    os.environ.setdefault("AML_APP_ROOT", APP_ROOT)
    from azureml_inference_server_http import __version__

    configure_logging()
    if os.environ.get("SERVER_VERSION_LOG_RESPONSE_ENABLED", "true").lower() == "true":
        os.environ.setdefault("HTTP_X_MS_SERVER_VERSION", "azmlinfsrv/{}".format(__version__))
    sys.path.append(os.environ["AML_APP_ROOT"])
    os.chdir(os.environ["AML_APP_ROOT"])
    print("Azure ML Inferencing HTTP server v{}".format(__version__), flush=True)


def configure_logging():
    try:
        from azureml_inference_server_http import constants, log_config
    except ImportError:  # the last server for Python 3.6 left it to its command line
        import logging

        logging.basicConfig(level=logging.INFO, stream=sys.stdout)
        return
    log_config.load_logging_config(constants.PACKAGE_ROOT)


def scoring_timeout():
    """Seconds."""
    return float(os.environ.get("SCORING_TIMEOUT_MS", "60000")) / 1000


def timeout():
    """Seconds that a worker may be silent. Never less than a scoring call may take."""
    return str(int(max(float(os.environ.get("WORKER_TIMEOUT", "300")), scoring_timeout() + 30)))


class Health:
    """Tells a process that was forked off early which workers are ready, over a pipe whose end is this server's end."""

    def __init__(self, port, workers):
        self.reader, self.writer = os.pipe()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("0.0.0.0", port))
        listener.listen(16)
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


def answer_probes(listener, reader, workers):
    import select

    pending, ready, complete = b"", set(), False
    while True:
        readable, _, _ = select.select([listener, reader], [], [])
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
            answer_probe(listener, complete and len(ready) > 0)


def answer_probe(listener, ready):
    try:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(1)
            line = connection.recv(4096).split(b"\r\n")[0]
            good = ready or b" /live " in line
            answer = b"HTTP/1.1 200 OK" if good else b"HTTP/1.1 503 init() has not returned yet"
            connection.sendall(answer + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    except OSError:
        pass  # the prober has gone


# A worker that is inside init() cannot tell gunicorn that it is alive. Whoever deploys decides how long init() may take.
LONGEST_INIT_SECONDS = 30 * 24 * 3600


def post_fork(server, worker):
    later = time.monotonic() + LONGEST_INIT_SECONDS
    try:
        os.utime(worker.tmp.fileno(), (later, later))
    except (OSError, AttributeError):
        pass  # an older gunicorn keeps its heartbeat elsewhere: WORKER_TIMEOUT then limits init()


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
        if not self.was_ready(worker.pid) and server.LISTENERS:
            # gunicorn itself gives up only on exit codes 3 and 4; a crash of the interpreter it would repeat forever, unseen.
            from gunicorn.errors import HaltServer

            raise HaltServer("Worker died before init() had returned.", 3)

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
    port, workers = os.environ.get("AKSML_HEALTH_PORT"), int(os.environ.get("WORKER_COUNT", "1"))
    hooks = Hooks(Health(int(port), workers) if port else None)
    prepare()
    from gunicorn.app.wsgiapp import WSGIApplication

    sys.argv = ["azmlinfsrv", "-b", "0.0.0.0:{}".format(os.environ.get("SERVER_PORT", "5001"))]
    sys.argv += ["-w", str(workers), "--timeout", timeout()]
    # What is being scored when the container is stopped is answered.
    sys.argv += ["--graceful-timeout", str(int(scoring_timeout()) + 1)]
    # /tmp may be on a disk, where gunicorn's heartbeat can stall.
    if os.access("/dev/shm", os.W_OK):
        sys.argv += ["--worker-tmp-dir", "/dev/shm"]
    sys.argv += ["--access-logfile", "-", "--error-logfile", os.devnull]
    if os.environ.get("WORKER_PRELOAD", "false").lower() == "true":
        sys.argv.append("--preload")
    sys.argv.append(APP)

    class Server(WSGIApplication):
        def load_config(self):
            super(Server, self).load_config()
            self.cfg.set("post_fork", post_fork)
            self.cfg.set("post_worker_init", hooks.post_worker_init)
            self.cfg.set("child_exit", hooks.child_exit)
            if "control_socket_disable" in self.cfg.settings:
                self.cfg.set("control_socket_disable", True)

    Server("%(prog)s [OPTIONS] [APP_MODULE]").run()


main()
