"""Checks Python files the way v1's SDK did: reads paths, one line of JSON each, and answers each with a line of JSON."""

import ast
import json
import sys
import warnings

warnings.simplefilter("ignore")


def check(path):
    try:
        # v1 read the script as UTF-8 and parsed the text: a BOM is a syntax error, and a coding line does not help.
        with open(path, "r", encoding="utf-8") as script:
            ast.parse(script.read(), filename=path)
    except SyntaxError as error:
        return {"ok": False, "line": error.lineno, "message": error.msg}
    except UnicodeDecodeError as error:
        return {"ok": False, "message": "The file is not UTF-8: %s" % error}
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        return {"ok": False, "message": str(error) or type(error).__name__}
    return {"ok": True}


for line in sys.stdin:
    print(json.dumps(check(json.loads(line))), flush=True)
