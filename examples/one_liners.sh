#!/bin/sh
# The library from the command line. Elsewhere than in a copy of the source,
# write jsr:@holdfast/holdfast for @holdfast/holdfast.
set -eu
lock=${1:?usage: one_liners.sh LOCKFILE}

# take a lock, do something, give it back
deno eval 'import { tryAcquire } from "@holdfast/holdfast";
  using lock = tryAcquire(Deno.args[0]);
  console.log(lock ? "got it" : "busy");' "$lock"

# who has it?
deno eval 'import { formatHolderList, readHolders } from "@holdfast/holdfast";
  console.log(formatHolderList(readHolders(Deno.args[0])));' "$lock"

# which kinds of lock can be trusted here?
deno eval 'import { diagnose } from "@holdfast/holdfast/doctor";
  console.log(diagnose(Deno.args[0]).safeKinds.join(" "));' "$lock"

# the filesystem of the root directory, without any permission
deno eval 'import { findMount, parseMountinfo } from "@holdfast/holdfast/mountinfo";
  const text = await new Response(Deno.stdin.readable).text();
  console.log(findMount(parseMountinfo(text), "/").fsType);' </proc/self/mountinfo

# how many locks does this machine hold?
deno eval 'import { readLockTable } from "@holdfast/holdfast/inspect";
  console.log(readLockTable().locks.length > 0 ? "some" : "none");'
