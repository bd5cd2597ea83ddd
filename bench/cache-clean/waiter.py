"""Takes cargo's lock shared, as a build does, again and again until its stdin ends: python, because node has no flock(2).

argv: the lock file; stdout: a line when it begins, then JSON: longest and sum of all waits, in ms, and how many there were.
"""
import fcntl
import json
import os
import select
import sys
import time

lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
print("begun", flush=True)
longest = total = 0.0
times = 0
while not select.select([sys.stdin], [], [], 0.0005)[0]:
    asked = time.perf_counter()
    fcntl.flock(lock, fcntl.LOCK_SH)
    waited = (time.perf_counter() - asked) * 1000
    fcntl.flock(lock, fcntl.LOCK_UN)
    longest = max(longest, waited)
    total += waited
    times += 1
print(json.dumps({"longest": longest, "total": total, "times": times}))
