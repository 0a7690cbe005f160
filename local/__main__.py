"""`python -m local`, which `make run` calls: checks the interpreter, then calls `local.run`."""

import sys

if sys.version_info[:2] != (3, 12):
    sys.exit("The local server needs Python 3.12: start it with make run.")

try:
    from local.run import main
except KeyboardInterrupt:  # before `main` handles it
    sys.exit(0)
except ModuleNotFoundError as missing:
    sys.exit(f"The package {missing.name} is not installed: start the server with make run.")

if __name__ == "__main__":
    sys.exit(main())
