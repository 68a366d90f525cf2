#!/usr/bin/env bash
# system.sh PACKAGE... : install Debian packages that are missing where the user may, else say how to.
set -euo pipefail

missing=()
for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q ' installed$' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

command="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" -ne 0 ]; then
    echo "missing system packages; install them with: sudo $command" >&2
    exit 1
fi
echo "installing ${missing[*]}" >&2
for attempt in 1 2 3; do
    if apt-get update -qq && DEBIAN_FRONTEND=noninteractive $command -qq > /dev/null; then exit 0; fi
    echo "attempt $attempt failed: $command" >&2
    sleep $((attempt * 5))
done
exit 1
