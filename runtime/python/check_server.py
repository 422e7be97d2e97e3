"""Imports what a replica needs of the scoring server and prints one line of JSON: what is installed, and why the import failed if it did."""

import json
import traceback

result = {"packages": []}
try:
    from importlib import metadata

    result["packages"] = sorted(
        "%s==%s" % (found.metadata["Name"].lower().replace("_", "-"), found.version)
        for found in metadata.distributions()
        if found.metadata["Name"]
    )
except ImportError:
    pass
try:
    import azureml_inference_server_http  # noqa: F401
    import azureml_inference_server_http.server  # noqa: F401
    import flask  # noqa: F401
except Exception as error:
    result["error"] = "%s: %s" % (type(error).__name__, error)
    result["missing"] = getattr(error, "name", None) if isinstance(error, ImportError) else None
    result["traceback"] = traceback.format_exc().splitlines()[-8:]
print(json.dumps(result))
