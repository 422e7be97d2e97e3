"""What every start of the scoring server has in common: on a machine (replica.py) and in a container (serve.py), beside which it lies.

What scores is the unchanged application of azureml-inference-server-http. Runs on every Python the scoring server ran on, so no syntax
newer than Python 3.6.
"""

import os
import sys
import time

APP = "azureml_inference_server_http.server.entry:app"
EXPORTER = "azure.monitor.opentelemetry.exporter"
# A worker that is inside init() cannot tell gunicorn that it is alive. Whoever deploys decides how long init() may take.
LONGEST_INIT_SECONDS = 30 * 24 * 3600


def prepare():
    """What `azmlinfsrv` does between its arguments and the server."""
    from azureml_inference_server_http import __version__

    configure_logging()
    if os.environ.get("SERVER_VERSION_LOG_RESPONSE_ENABLED", "true").lower() == "true":
        os.environ.setdefault("HTTP_X_MS_SERVER_VERSION", "azmlinfsrv/{}".format(__version__))
    sys.path.append(os.environ["AML_APP_ROOT"])
    print("Azure ML Inferencing HTTP server v{}".format(__version__), flush=True)


def configure_logging():
    try:
        from azureml_inference_server_http import constants, log_config
    except ImportError:  # the last server for Python 3.6 left it to its command line
        import logging

        logging.basicConfig(level=logging.INFO, stream=sys.stdout)
        return
    log_config.load_logging_config(constants.PACKAGE_ROOT)


def leave_out_exporter():
    """The exporter to Application Insights is never called unless they are wanted, but loading it takes half of the start."""
    if EXPORTER in sys.modules:
        return
    import types

    try:
        from azureml_inference_server_http.server.config import config

        if config.app_insights_enabled and config.app_insights_key:
            return
        stand_in = types.ModuleType(EXPORTER)
        stand_in.AzureMonitorLogExporter = stand_in.AzureMonitorTraceExporter = None
        sys.modules[EXPORTER] = stand_in
        import azureml_inference_server_http.server.appinsights_client  # noqa: F401
    except Exception:
        pass  # another version of the server: it loads what it needs
    finally:
        # The user's own code may use the real one.
        sys.modules.pop(EXPORTER, None)


def scoring_timeout():
    """Seconds."""
    return float(os.environ.get("SCORING_TIMEOUT_MS", "60000")) / 1000


def gunicorn_arguments(bind, workers):
    # Never less than a scoring call may take.
    silence = int(max(float(os.environ.get("WORKER_TIMEOUT", "300")), scoring_timeout() + 30))
    arguments = ["-b", bind, "-w", str(workers), "--timeout", str(silence)]
    # As azmlinfsrv has it: the access log is the only way to get the log at all, and errors would come twice.
    arguments += ["--access-logfile", "-", "--error-logfile", os.devnull]
    if os.environ.get("WORKER_PRELOAD", "false").lower() == "true":
        arguments.append("--preload")
    return arguments


def run_gunicorn(arguments, settings):
    from gunicorn.app.wsgiapp import WSGIApplication

    class Server(WSGIApplication):
        def load_config(self):
            super(Server, self).load_config()
            for name, value in settings.items():
                self.cfg.set(name, value)
            self.cfg.set("post_fork", post_fork)
            if "control_socket_disable" in self.cfg.settings:
                self.cfg.set("control_socket_disable", True)

    sys.argv = ["azmlinfsrv"] + arguments + [APP]
    Server("%(prog)s [OPTIONS] [APP_MODULE]").run()


def post_fork(server, worker):
    later = time.monotonic() + LONGEST_INIT_SECONDS
    try:
        os.utime(worker.tmp.fileno(), (later, later))
    except (OSError, AttributeError):
        pass  # an older gunicorn keeps its heartbeat elsewhere: WORKER_TIMEOUT then limits init()
    leave_out_exporter()


def halt_unless_ready(server, was_ready):
    """To be called when a worker has ended."""
    if not was_ready and server.LISTENERS:
        # gunicorn itself gives up only on exit codes 3 and 4; a crash of the interpreter it would repeat forever, unseen.
        from gunicorn.errors import HaltServer

        raise HaltServer("Worker died before init() had returned.", 3)
