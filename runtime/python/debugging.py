"""Serves one replica under a debugger: one process, so that a breakpoint holds what it is set in and nothing else.

Edited source files are loaded anew with the next request, as is init(): the debugger stays attached.
"""

import importlib
import os
import sys
import threading
import traceback


def serve_under_debugger(port, source, on_ready):
    """`source`: the folder whose modules are watched, or the script alone. Returns when the server ends."""
    # The app root holds a link to the source: the debugger is to name the file that the editor has open.
    os.environ.setdefault("PYDEVD_RESOLVE_SYMLINKS", "1")
    import debugpy
    from werkzeug.serving import make_server

    # Two edits within a second, of equal length, would be taken for one.
    sys.dont_write_bytecode = True
    debugpy.listen(("127.0.0.1", port))
    print("Waiting for a debugger at port {}".format(port), flush=True)
    debugpy.wait_for_client()
    server = make_server("127.0.0.1", 0, EditableApplication(source), threaded=True)
    on_ready(server.server_port)
    server.serve_forever()


class EditableApplication:
    """The scoring server's own application, made anew when a file of the source folder has changed."""

    def __init__(self, source):
        self.source = os.path.realpath(source)
        self.is_folder = os.path.isdir(self.source)
        self.lock = threading.Lock()
        from azureml_inference_server_http.server import entry

        self.application = entry.app
        self.failure = None
        self.seen = self.modification_times()

    def __call__(self, environ, start_response):
        with self.lock:
            now = self.modification_times()
            if now != self.seen:
                self.seen = now
                self.load_again()
        if self.failure is not None:
            start_response("502 Bad Gateway", [("Content-Type", "text/plain; charset=utf-8")])
            return [self.failure.encode("utf-8")]
        return self.application(environ, start_response)

    def modification_times(self):
        if not self.is_folder:
            return os.stat(self.source).st_mtime_ns
        times = {}
        for folder, folders, names in os.walk(self.source):
            folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
            for name in names:
                if name.endswith(".py"):
                    path = os.path.join(folder, name)
                    try:
                        times[path] = os.stat(path).st_mtime_ns
                    except OSError:
                        pass  # it has gone meanwhile, which is a change, too
        return times

    def load_again(self):
        from azureml_inference_server_http.server import create_app

        print("The source has changed: loading it again", flush=True)
        for name, module in list(sys.modules.items()):
            path = getattr(module, "__file__", None)
            if path and self.is_folder and os.path.realpath(path).startswith(self.source + os.sep):
                del sys.modules[name]
        importlib.invalidate_caches()
        try:
            self.application = create_app.create()
            self.failure = None
        except (Exception, SystemExit):
            self.failure = traceback.format_exc()
            traceback.print_exc()
