"""Starts the scoring server of one replica on a loopback port and tells the supervisor when it is ready.

It stands in for the `azmlinfsrv` command, which can only listen on a fixed port of every network interface.
Runs on every Python the scoring server ran on, so no syntax newer than Python 3.6.
"""

import json
import os
import sys
import time

# Nothing is to be written beside aksml's own files, which may be another user's.
writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
import aksml_server  # noqa: E402

sys.dont_write_bytecode = writes_bytecode

RUN_FOLDER = os.environ["AKSML_REPLICA_FOLDER"]
STATUS = os.path.join(RUN_FOLDER, "status.json")


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
    os.environ.setdefault("AML_APP_ROOT", os.getcwd())
    os.environ["AML_APP_INSIGHTS_ENABLED"] = "true" if app_insights_wanted() else "false"
    aksml_server.prepare()
    print_trap()


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
    address = "127.0.0.1:0"
    hooks = {"post_worker_init": post_worker_init, "child_exit": child_exit}
    aksml_server.run_gunicorn(aksml_server.gunicorn_arguments(address, workers), hooks)


def post_worker_init(worker):
    status.worker_ready(worker.pid, worker.sockets[0].getsockname()[1])


def child_exit(server, worker):
    aksml_server.halt_unless_ready(server, status.worker_gone(worker.pid))


def serve_with_waitress(workers):
    aksml_server.leave_out_exporter()
    from azureml_inference_server_http.server.entry import app
    from waitress.server import create_server

    server = create_server(app, host="127.0.0.1", port=0, threads=workers)
    status.worker_ready(os.getpid(), server.effective_port)
    server.run()


def serve_for_debugging(port):
    import importlib.util

    spec = importlib.util.spec_from_file_location("aksml_debugging", os.path.join(HERE, "debugging.py"))
    debugging = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(debugging)
    debugging.serve_under_debugger(port, os.environ["AKSML_DEBUG_SOURCE"], lambda ready: status.worker_ready(os.getpid(), ready))


def main():
    debug_port = os.environ.get("AKSML_DEBUG_PORT")
    workers = 1 if debug_port else int(os.environ.get("WORKER_COUNT", "1"))
    # The user's modules must not be shadowed by what lies beside this file.
    sys.path.pop(0)
    status.change(pid=os.getpid(), workers=workers, phase="starting", ready=[])
    try:
        prepare_environment()
        if debug_port:
            serve_for_debugging(int(debug_port))
        elif os.name == "nt":
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


HERE = os.path.dirname(os.path.abspath(__file__))
MAIN_PID = os.getpid()
main()
