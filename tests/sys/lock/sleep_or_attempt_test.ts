import { assertEquals } from "@std/assert";
import { EAGAIN, EINTR, EIO, EOPNOTSUPP } from "../../../lib/sys/errno.ts";
import { closeFile, O_RDONLY, openFile } from "../../../lib/sys/file.ts";
import { withInterruptTimer } from "../../../lib/sys/sleep.ts";
import { sleepOrAttempt } from "../../../lib/sys/lock/sleep_or_attempt.ts";

/** A call that answers one after the other, and the last one for ever. */
function answering(...answers: number[]): { calls: number; call(): number } {
  return {
    calls: 0,
    call() {
      return answers[Math.min(this.calls++, answers.length - 1)]!;
    },
  };
}

function run(
  sleeping: ReturnType<typeof answering>,
  attempt: ReturnType<typeof answering>,
  timeoutMs = Infinity,
): number {
  const fd = openFile("/dev/null", O_RDONLY);
  try {
    return withInterruptTimer(
      sleepOrAttempt(fd, () => sleeping.call(), () => attempt.call()),
      { timeoutMs },
    );
  } finally {
    closeFile(fd);
  }
}

Deno.test("where a call may sleep, no attempt is made", () => {
  const sleeping = answering(-EINTR, 0);
  const attempt = answering(0);
  assertEquals(run(sleeping, attempt), 0);
  assertEquals([sleeping.calls, attempt.calls], [2, 0]);
});

Deno.test("where none may sleep, attempts are made until the lock is there", () => {
  const sleeping = answering(-EOPNOTSUPP);
  const attempt = answering(-EAGAIN, -EAGAIN, -EAGAIN, 0);
  assertEquals(run(sleeping, attempt), 0);
  assertEquals([sleeping.calls, attempt.calls], [1, 4]);
});

Deno.test("attempts end with the time", () => {
  const attempt = answering(-EAGAIN);
  assertEquals(run(answering(-EOPNOTSUPP), attempt, 20), -EINTR);
  assertEquals(attempt.calls > 1, true);
});

Deno.test("a filesystem without any lock says so", () => {
  assertEquals(
    run(answering(-EOPNOTSUPP), answering(-EOPNOTSUPP)),
    -EOPNOTSUPP,
  );
  assertEquals(run(answering(-EOPNOTSUPP), answering(-EIO)), -EIO);
});
