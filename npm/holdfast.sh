#!/bin/sh
# The bin of the npm package: the bundle, run by the Deno that npm has put
# beside it. Deno is started directly, for the starter in its own package would
# stay in memory and keep signals from it. HOLDFAST_DENO names another one.
self=$0
while [ -h "$self" ]; do
  target=$(readlink "$self")
  case $target in
    /*) self=$target ;;
    *) self=${self%/*}/$target ;;
  esac
done
package=$(CDPATH= cd -- "${self%/*}" && pwd -P) || exit 70
deno=$HOLDFAST_DENO
directory=$package
while [ -z "$deno" ] && [ -n "$directory" ]; do
  for name in deno @deno/linux-x64-glibc @deno/linux-arm64-glibc \
    deno/node_modules/@deno/linux-x64-glibc \
    deno/node_modules/@deno/linux-arm64-glibc; do
    if [ -x "$directory/node_modules/$name/deno" ]; then
      deno=$directory/node_modules/$name/deno
      break
    fi
  done
  directory=${directory%/*}
done
deno=${deno:-deno}
if ! command -v "$deno" >/dev/null; then
  echo "holdfast: needs Deno 2.9 or later, and there is no \"$deno\" in PATH;" \
    "get it by: npm install --global deno" >&2
  exit 127
fi
exec "$deno" run --quiet --no-prompt --no-config \
  @PERMISSIONS@ "$package/holdfast.js" "$@"
