"""Compiles modules for another machine with a Python of the same minor version: compile_modules.py LIST, a file of JSON triples
[source, name of the module's file there, file to write].

Equal modules give equal bytes: nothing of this machine, no time and no reference count of this process gets into them. A module that does
not compile, such as a template or one of another Python, is left out. No syntax newer than Python 3.6.
"""

import importlib.util
import json
import marshal
import struct
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor

# Also in the processes that are started.
warnings.simplefilter("ignore")

# The last version that does not tell how often an object is referred to. https://docs.python.org/3/library/marshal.html
MARSHAL_VERSION = 2


def header(size):
    """Valid for a source file of this size that is as old as everything in a layer (PEP 3147, PEP 552)."""
    flags = struct.pack("<I", 0) if sys.version_info >= (3, 7) else b""
    return importlib.util.MAGIC_NUMBER + flags + struct.pack("<II", 0, size & 0xFFFFFFFF)


def compile_module(job):
    source, name, target = job
    with open(source, "rb") as file:
        text = file.read()
    try:
        code = marshal.dumps(compile(text, name, "exec", dont_inherit=True), MARSHAL_VERSION)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    with open(target, "wb") as file:
        file.write(header(len(text)) + code)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        jobs = json.load(file)
    # Unlike multiprocessing.Pool, it fails when a process of it is killed, instead of waiting for it for ever.
    with ProcessPoolExecutor() as pool:
        for _ in pool.map(compile_module, jobs, chunksize=16):
            pass


if __name__ == "__main__":
    main()
