"""Runs a command on a terminal of its own, as an interactive shell runs a job.

Usage: job_control.py COMMAND [ARG...]

Reads orders from stdin, one a line: "type TEXT" types it (with \\x03 escapes),
"signal NAME" signals the job's first process, "fg" puts the job back to the
foreground and continues it. Writes "out LINE" for each line that appears on the
terminal, "stopped" when the first process stops, and "exit CODE" at its end.
"""

import fcntl
import os
import select
import signal
import sys
import termios


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main():
    # A session with a terminal, whose leader is this process as a shell is.
    master, slave = os.openpty()
    if os.getsid(0) != os.getpid():
        os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(slave, os.getpgrp())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        for fd in (0, 1, 2):
            os.dup2(slave, fd)
        os.closerange(3, 256)
        os.execvp(sys.argv[1], sys.argv[1:])
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    pending = b""
    orders = b""
    while True:
        ready, _, _ = select.select([0, master, wake_read], [], [], 0.2)
        if wake_read in ready:
            os.read(wake_read, 64)
        if master in ready:
            pending += os.read(master, 4096)
            while b"\n" in pending:
                line, pending = pending.split(b"\n", 1)
                say("out " + line.decode(errors="replace").rstrip("\r"))
        if 0 in ready:
            data = os.read(0, 4096)
            if not data:
                os.killpg(job, signal.SIGKILL)
            orders += data
            while b"\n" in orders:
                order, orders = orders.split(b"\n", 1)
                word, _, rest = order.decode().partition(" ")
                if word == "type":
                    os.write(master, rest.encode().decode("unicode_escape").encode())
                elif word == "signal":
                    os.kill(job, getattr(signal, rest))
                elif word == "fg":
                    os.tcsetpgrp(slave, job)
                    os.killpg(job, signal.SIGCONT)
        pid, status = os.waitpid(job, os.WNOHANG | os.WUNTRACED)
        if pid == 0:
            continue
        if os.WIFSTOPPED(status):
            os.tcsetpgrp(slave, os.getpgrp())
            say("stopped")
            continue
        while select.select([master], [], [], 0)[0]:
            pending += os.read(master, 4096)
            if not pending.endswith(b"\n") and b"\n" not in pending:
                break
            while b"\n" in pending:
                line, pending = pending.split(b"\n", 1)
                say("out " + line.decode(errors="replace").rstrip("\r"))
        say("exit %d" % os.waitstatus_to_exitcode(status))
        return


main()
