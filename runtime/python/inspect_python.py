"""Describes the Python that runs it, as one line of JSON. No syntax newer than Python 2.7, so that an old one is told apart from a broken one."""

import json
import platform
import sys
import sysconfig

print(
    json.dumps(
        {
            "executable": sys.executable,
            "version": "%d.%d.%d" % sys.version_info[:3],
            "implementation": platform.python_implementation(),
            "platform": sysconfig.get_platform(),
        }
    )
)
