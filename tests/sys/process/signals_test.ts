import { fromFileUrl } from "@std/path/from-file-url";
import { assertEquals } from "@std/assert";
import {
  ignoreSignal,
  isInForeground,
  isSignalIgnored,
  resetSignal,
  SIGNAL_NUMBERS,
  signalName,
} from "../../../lib/sys/process/signals.ts";

Deno.test("SIGNAL_NUMBERS are those of kill(1)", async () => {
  const { stdout } = await new Deno.Command("bash", { args: ["-c", "kill -l"] })
    .output();
  const listed = [
    ...new TextDecoder().decode(stdout).matchAll(/(\d+)\) (SIG[A-Z0-9]+)\s/g),
  ].map(([, number, name]) => [name, Number(number)])
    // The real-time signals have no numbers of their own.
    .filter(([, number]) => Number(number) < 32);
  assertEquals(Object.entries(SIGNAL_NUMBERS), listed);
});

Deno.test("signalName", () => {
  assertEquals(signalName(15), "SIGTERM");
  assertEquals(signalName(34), "SIG34");
});

Deno.test("ignoreSignal, isSignalIgnored, resetSignal", () => {
  assertEquals(isSignalIgnored("SIGIO"), false);
  ignoreSignal("SIGIO");
  try {
    assertEquals(isSignalIgnored("SIGIO"), true);
  } finally {
    resetSignal("SIGIO");
  }
  assertEquals(isSignalIgnored("SIGIO"), false);
});

Deno.test("isInForeground: not without a terminal", async () => {
  const url =
    new URL("../../../lib/sys/process/signals.ts", import.meta.url).href;
  const session = new URL("../../support/new_session.ts", import.meta.url);
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-check",
      "--allow-ffi",
      fromFileUrl(session),
      Deno.execPath(),
      "eval",
      "--quiet",
      `import { isInForeground } from "${url}"; console.log(isInForeground());`,
    ],
  }).output();
  assertEquals(new TextDecoder().decode(stdout), "false\n");
  assertEquals(typeof isInForeground(), "boolean");
});
