"""One task of the benchmark in Python: filelock_peer.py TASK PATH [COUNT]."""

import json
import sys
import time

from filelock import FileLock

task, path = sys.argv[1:3]
count = int(sys.argv[3]) if len(sys.argv) > 3 else 0

if task == "uncontended":
    lock = FileLock(path)
    start = time.monotonic_ns()
    for _ in range(count):
        with lock:
            pass
    ns = (time.monotonic_ns() - start) / count
    print(json.dumps({"name": "filelock", "ns": round(ns)}))
    sys.exit()

print("ready", flush=True)
for _ in sys.stdin:
    if task == "waiter":
        with FileLock(path):
            taken = time.monotonic_ns()
            released = time.monotonic_ns()
        print(f"{taken} {released}", flush=True)
        continue
    waits = []
    cpu = time.process_time()
    for _ in range(count):
        start = time.monotonic()
        lock = FileLock(path)
        lock.acquire(poll_interval=0.005)
        waits.append((time.monotonic() - start) * 1000)
        end = time.monotonic() + 0.0001
        while time.monotonic() < end:
            pass
        lock.release()
    cpu = (time.process_time() - cpu) * 1000
    waits.sort()
    print(json.dumps(
        {"worst": waits[-1], "median": waits[count // 2], "cpu": cpu}
    ), flush=True)
    break
