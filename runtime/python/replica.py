"""Starts the scoring server of one replica on a loopback port and tells the supervisor when it is ready.

It stands in for the `azmlinfsrv` command, which can only listen on a fixed port of every network interface. The settings that
command makes are made here too; what scores is the unchanged application of azureml-inference-server-http.
Runs on every Python the scoring server ran on, so no syntax newer than Python 3.6.
"""

import json
import os
import sys
import time

RUN_FOLDER = os.environ["AKSML_REPLICA_FOLDER"]
STATUS = os.path.join(RUN_FOLDER, "status.json")
APP = "azureml_inference_server_http.server.entry:app"
# A worker that is inside init() cannot tell gunicorn that it is alive. The supervisor decides how long init() may take.
LONGEST_INIT_SECONDS = 30 * 24 * 3600


class Status:
    """`status.json`: written whole, by one process at a time."""

    def __init__(self):
        self.lock = os.path.join(RUN_FOLDER, "status.lock")

    def change(self, **changes):
        with self._locked():
            self._write(dict(self._read(), **changes))

    def worker_ready(self, pid, port):
        with self._locked():
            status = self._read()
            ready = [other for other in status.get("ready", []) if other != pid] + [pid]
            changes = {"ready": ready, "port": port}
            if len(ready) >= status["workers"] and status["phase"] == "starting":
                changes.update(phase="ready", readyTime=time.time())
            self._write(dict(status, **changes))

    def worker_gone(self, pid):
        """Whether that worker had ever been ready."""
        with self._locked():
            status = self._read()
            ready = status.get("ready", [])
            rest = [other for other in ready if other != pid]
            self._write(dict(status, ready=rest, workerDeaths=status.get("workerDeaths", 0) + 1))
            return rest != ready

    def _read(self):
        try:
            with open(STATUS) as file:
                return json.load(file)
        except FileNotFoundError:
            return {}

    def _write(self, status):
        # A removed run folder means that nobody wants this replica any more: the error ends it.
        temporary = "{}.{}".format(STATUS, os.getpid())
        with open(temporary, "w") as file:
            json.dump(status, file)
        os.replace(temporary, STATUS)

    def _locked(self):
        return FileLock(self.lock)


class FileLock:
    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.file = open(self.path, "w")
        if os.name != "nt":  # waitress has one process, so Windows needs none
            import fcntl

            fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self.file.close()


status = Status()


def prepare_environment():
    """What `azmlinfsrv` does between its arguments and the server."""
    from azureml_inference_server_http import __version__

    configure_logging()
    os.environ.setdefault("AML_APP_ROOT", os.getcwd())
    if os.environ.get("SERVER_VERSION_LOG_RESPONSE_ENABLED", "true").lower() == "true":
        os.environ.setdefault("HTTP_X_MS_SERVER_VERSION", "azmlinfsrv/{}".format(__version__))
    os.environ["AML_APP_INSIGHTS_ENABLED"] = "true" if app_insights_wanted() else "false"
    sys.path.append(os.environ["AML_APP_ROOT"])
    print("Azure ML Inferencing HTTP server v{}".format(__version__))
    print_trap()


def configure_logging():
    try:
        from azureml_inference_server_http import constants, log_config
    except ImportError:  # the last server for Python 3.6 left it to its command line
        import logging

        logging.basicConfig(level=logging.INFO, stream=sys.stdout)
        return
    log_config.load_logging_config(constants.PACKAGE_ROOT)


def app_insights_wanted():
    import uuid

    if os.environ.get("AML_APP_INSIGHTS_ENABLED") != "true":
        return False
    try:
        uuid.UUID(os.environ.get("AML_APP_INSIGHTS_KEY", ""))
        return True
    except ValueError:
        print("AML_APP_INSIGHTS_KEY is not an instrumentation key, so Application Insights is disabled.")
        return False


def print_trap():
    """The scoring server takes any `config.json` at the app root or beside the entry script for its own settings."""
    script = os.environ.get("AZUREML_ENTRY_SCRIPT")
    folders = [os.environ["AML_APP_ROOT"]] + ([os.path.dirname(os.path.abspath(script))] if script else [])
    for folder in folders:
        path = os.path.join(folder, "config.json")
        if not os.environ.get("AZUREML_CONFIG_FILE") and os.path.isfile(path):
            print("Note: the scoring server reads {} as its own settings, and stops if it is not valid JSON.".format(path))
            return


def serve_with_gunicorn(workers):
    from gunicorn.app.wsgiapp import WSGIApplication

    sys.argv = [sys.argv[0], "-b", "127.0.0.1:0", "-w", str(workers), "--timeout", worker_timeout()]
    # As azmlinfsrv has it: the access log is the only way to get the log at all, and errors would come twice.
    sys.argv += ["--access-logfile", "-", "--error-logfile", os.devnull]
    if os.environ.get("WORKER_PRELOAD", "false").lower() == "true":
        sys.argv.append("--preload")
    sys.argv.append(APP)

    class Replica(WSGIApplication):
        def load_config(self):
            super(Replica, self).load_config()
            self.cfg.set("bind", "127.0.0.1:0")
            self.cfg.set("workers", workers)
            self.cfg.set("post_fork", post_fork)
            self.cfg.set("post_worker_init", post_worker_init)
            self.cfg.set("child_exit", child_exit)
            if "control_socket_disable" in self.cfg.settings:
                self.cfg.set("control_socket_disable", True)

    Replica("%(prog)s [OPTIONS] [APP_MODULE]").run()


def worker_timeout():
    """Seconds. Never less than a scoring call may take."""
    scoring = float(os.environ.get("SCORING_TIMEOUT_MS", "60000")) / 1000
    return str(int(max(float(os.environ.get("WORKER_TIMEOUT", "300")), scoring + 30)))


def post_fork(server, worker):
    later = time.monotonic() + LONGEST_INIT_SECONDS
    try:
        os.utime(worker.tmp.fileno(), (later, later))
    except (OSError, AttributeError):
        pass  # an older gunicorn keeps its heartbeat elsewhere: WORKER_TIMEOUT then limits init()


def post_worker_init(worker):
    status.worker_ready(worker.pid, worker.sockets[0].getsockname()[1])


def child_exit(server, worker):
    if not status.worker_gone(worker.pid) and server.LISTENERS:
        # gunicorn itself gives up only on exit codes 3 and 4; a crash of the interpreter it would repeat forever, unseen.
        from gunicorn.errors import HaltServer

        raise HaltServer("Worker died before init() had returned.", 3)


def serve_with_waitress(workers):
    from azureml_inference_server_http.server.entry import app
    from waitress.server import create_server

    server = create_server(app, host="127.0.0.1", port=0, threads=workers)
    status.worker_ready(os.getpid(), server.effective_port)
    server.run()


def main():
    workers = int(os.environ.get("WORKER_COUNT", "1"))
    # The user's modules must not be shadowed by what lies beside this file.
    sys.path.pop(0)
    status.change(pid=os.getpid(), workers=workers, phase="starting", ready=[])
    try:
        prepare_environment()
        if os.name == "nt":
            serve_with_waitress(workers)
        else:
            serve_with_gunicorn(workers)
    except SystemExit as exit:
        note_exit(exit.code if isinstance(exit.code, int) else int(exit.code is not None))
        raise
    except BaseException:
        note_exit(1)
        raise


def note_exit(code):
    # Workers are forks of this process and leave through the same door.
    if MAIN_PID == os.getpid():
        status.change(phase="exited", exitCode=code)


MAIN_PID = os.getpid()
main()
