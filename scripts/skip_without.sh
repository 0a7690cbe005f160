# shellcheck shell=bash
# Sourced by checks that need a program which not everyone has.

# skip_without PROGRAM MESSAGE: ends the script where the program is missing; in CI with an error.
skip_without() {
    if command -v "$1" >/dev/null; then
        return
    fi
    if [ "${CI:-}" = true ]; then
        echo "$2" >&2
        exit 1
    fi
    echo "$2"
    exit 0
}
