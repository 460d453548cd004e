import { assertEquals } from "@std/assert";
import { EXIT } from "../../../cli/ui/exit_codes.ts";
import { UsageError } from "../../../cli/args/parse.ts";
import { suggest } from "../../../cli/commands/all.ts";
import { explainError } from "../../../cli/ui/errors.ts";
import { UnsupportedFilesystemError } from "../../../lib/fs/guard.ts";
import { ProcParseError } from "../../../lib/proc/error.ts";
import { LockError, SyscallError } from "../../../lib/sys/error.ts";
import { SelfDeadlockError } from "../../../lib/lock/self_deadlock_error.ts";
import { busyLockFile } from "../../../lib/wait/busy_lock_file.ts";

const ERRNO = {
  ENOENT: 2,
  ECHILD: 10,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EMFILE: 24,
  ENOSPC: 28,
  EROFS: 30,
  ENOLCK: 37,
  EDQUOT: 122,
};

for (
  const [syscall, code, expected] of [
    ["open", "ENOENT", EXIT.NO_INPUT],
    ["open", "EACCES", EXIT.NO_INPUT],
    ["mkdir", "EACCES", EXIT.NO_INPUT],
    ["open", "EROFS", EXIT.CANT_CREATE],
    ["open", "ENOSPC", EXIT.CANT_CREATE],
    ["mkdir", "EDQUOT", EXIT.CANT_CREATE],
    ["write", "ENOSPC", EXIT.CANT_CREATE],
    ["fallocate", "EDQUOT", EXIT.CANT_CREATE],
    ["open", "EMFILE", EXIT.OS_ERROR],
    ["flock", "ENOLCK", EXIT.OS_ERROR],
    ["flock", "ENOMEM", EXIT.OS_ERROR],
    ["flock", "EROFS", EXIT.DATA],
    ["fcntl", "EACCES", EXIT.DATA],
    ["fork", "EAGAIN", EXIT.OS_ERROR],
    ["timer_create", "EAGAIN", EXIT.OS_ERROR],
    ["waitpid", "ECHILD", EXIT.OS_ERROR],
    ["execve", "ENOENT", EXIT.NOT_FOUND],
    ["execve", "EACCES", EXIT.NOT_EXECUTABLE],
  ] satisfies [string, keyof typeof ERRNO, number][]
) {
  Deno.test(`exit code of ${syscall} that returned ${code}`, async () => {
    const errno = ERRNO[code];
    const error = new SyscallError("try", { syscall, errno, path: "/x" });
    assertEquals(error.code, code);
    assertEquals(await explainError("holdfast run", error), {
      text: `holdfast run: ${error.message}\n`,
      exitCode: expected,
    });
  });
}

for (
  const [error, exitCode] of [
    [busyLockFile("/x", 0, []), EXIT.TEMP_FAIL],
    [new UnsupportedFilesystemError("/x", "nfs", "why"), EXIT.UNAVAILABLE],
    [new LockError("Cannot lock"), EXIT.DATA],
    [
      new SelfDeadlockError({ path: "/x", holderPid: 7, relation: "self" }),
      EXIT.SELF_DEADLOCK,
    ],
    [
      new ProcParseError("x", { source: "/proc/locks", line: 1, text: "" }),
      EXIT.SOFTWARE,
    ],
    [new Deno.errors.NotFound("No such file (os error 2)"), EXIT.NO_INPUT],
    [new Deno.errors.AddrInUse("in use"), EXIT.OS_ERROR],
    [new Error("No space left on device (os error 28)"), EXIT.OS_ERROR],
  ] satisfies [Error, number][]
) {
  Deno.test(`exit code of ${error.name}: ${error.message}`, async () => {
    assertEquals(await explainError("holdfast", error), {
      text: `holdfast: ${error.message}\n`,
      exitCode,
    });
  });
}

Deno.test("explainError: a bug is called one, whatever was thrown", async () => {
  for (
    const [error, message] of [
      [new TypeError("x is undefined"), "x is undefined"],
      [new RangeError(""), "RangeError"],
      ["text", "text"],
      [undefined, "undefined"],
      [null, "null"],
    ]
  ) {
    assertEquals(await explainError("holdfast", error), {
      text: `holdfast: internal error: ${message}\n`,
      exitCode: EXIT.SOFTWARE,
    });
  }
});

Deno.test("explainError: a closed pipe is left quietly", async () => {
  assertEquals(await explainError("holdfast", new Deno.errors.BrokenPipe()), {
    text: "",
    exitCode: 141,
  });
});

Deno.test("explainError: control characters reach no terminal", async () => {
  const hostile = "a\x1b[2Jb\u202ec\nd";
  assertEquals(
    (await explainError("holdfast", new LockError(hostile))).text,
    "holdfast: a\\x1b[2Jb\\u{202e}c\nd\n",
  );
  assertEquals(
    (await explainError("holdfast", new UsageError(hostile))).text,
    "holdfast: a\\x1b[2Jb\\u{202e}c\\nd\n" +
      "Try 'holdfast --help' for more information.\n",
  );
});

Deno.test("explainError: suggests what is near, and only that", async () => {
  const suggestion = async (unknown: string) => {
    const { text } = await explainError(
      "holdfast",
      new UsageError("unknown", {
        unknown,
        candidates: ["run", "who", "locks", "--timeout"],
        hint: "A hint",
      }),
      suggest,
    );
    return text.split("\n")[0];
  };
  assertEquals(
    await Promise.all(
      ["lock", "rum", "rnu", "--timout", "zebra", "x"].map(suggestion),
    ),
    [
      "holdfast: unknown; did you mean 'locks'?",
      "holdfast: unknown; did you mean 'run'?",
      "holdfast: unknown; did you mean 'run'?",
      "holdfast: unknown; did you mean '--timeout'?",
      "holdfast: unknown",
      "holdfast: unknown",
    ],
  );
});

Deno.test("explainError: a missing permission names its flag", async () => {
  const denied = new Deno.errors.NotCapable(
    'Requires ffi access to "libc.so.6", run again with the --allow-ffi flag',
  );
  assertEquals(await explainError("holdfast who", denied), {
    text: "holdfast who: Deno did not permit it (Requires ffi access to " +
      '"libc.so.6"): run holdfast with --allow-ffi\n',
    exitCode: EXIT.NO_PERMISSION,
  });
});

Deno.test("what fails in tidying up after a failure is said behind it, and is no internal error", async () => {
  const fault = (syscall: string, path: string) =>
    new SyscallError("try", { syscall, errno: ERRNO.EMFILE, path });
  const [first, second] = [fault("posix_spawn", "/x"), fault("open", "/y")];
  let thrown: unknown;
  try {
    using _lock = {
      [Symbol.dispose]() {
        throw second;
      },
    };
    throw first;
  } catch (error) {
    thrown = error;
  }
  assertEquals(await explainError("holdfast run", thrown), {
    text: `holdfast run: ${first.message}\nholdfast run: ${second.message}\n`,
    exitCode: EXIT.OS_ERROR,
  });
});
