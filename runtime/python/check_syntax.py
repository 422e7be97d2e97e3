"""Checks Python files the way v1's SDK did: reads paths, UTF-16 in hexadecimal digits, one a line, and answers each with a line of JSON.

Most scripts are well, and each command starts a Python for this: nothing is imported before one is not.
"""

import sys

# What `ast.parse` does, whose module takes as long to import as Python to start.
ONLY_AST = 0x400


def check(path):
    try:
        # v1 read the script as UTF-8 and parsed the text: a BOM is a syntax error, and a coding line does not help.
        with open(path, "r", encoding="utf-8") as script:
            compile(script.read(), path, "exec", ONLY_AST)
    except SyntaxError as error:
        return {"ok": False, "line": error.lineno, "message": error.msg}
    except UnicodeDecodeError as error:
        return {"ok": False, "message": "The file is not UTF-8: %s" % error}
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        return {"ok": False, "message": str(error) or type(error).__name__}
    return None


def answer(fault):
    if fault is None:
        return '{"ok": true}'
    import json

    return json.dumps(fault)


for line in sys.stdin:
    print(answer(check(bytes.fromhex(line).decode("utf-16-le", "surrogatepass"))), flush=True)
