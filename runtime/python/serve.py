"""Starts the scoring server of a container, as v1's service images did: every interface, port 5001, settings from the environment.

What scores is the unchanged application of azureml-inference-server-http. Runs on every Python the scoring server ran on, so no syntax
newer than Python 3.6.
"""

import os
import sys

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


def timeout():
    """Seconds that a worker may be silent. Never less than a scoring call may take."""
    scoring = float(os.environ.get("SCORING_TIMEOUT_MS", "60000")) / 1000
    return str(int(max(float(os.environ.get("WORKER_TIMEOUT", "300")), scoring + 30)))


def main():
    # The user's modules must not be shadowed by what lies beside this file.
    sys.path.pop(0)
    prepare()
    from gunicorn.app.wsgiapp import WSGIApplication

    sys.argv = ["azmlinfsrv", "-b", "0.0.0.0:{}".format(os.environ.get("SERVER_PORT", "5001"))]
    sys.argv += ["-w", os.environ.get("WORKER_COUNT", "1"), "--timeout", timeout()]
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
            if "control_socket_disable" in self.cfg.settings:
                self.cfg.set("control_socket_disable", True)

    Server("%(prog)s [OPTIONS] [APP_MODULE]").run()


main()
