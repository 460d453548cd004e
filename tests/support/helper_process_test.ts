import { assertRejects } from "@std/assert";
import { HelperProcess } from "./helper_process.ts";

Deno.test("a helper process that says nothing and never ends fails its test", async () => {
  await using helper = HelperProcess.spawn("sh", ["-c", "read -r _"], {
    stepMs: 50,
  });
  await assertRejects(() => helper.nextLine(), Error, "its next line: not");
  await assertRejects(() => helper.status, Error, "its end: not");
});

Deno.test("what a helper process left behind doesn't keep its test", async () => {
  const helper = HelperProcess.spawn("sh", [
    "-c",
    "sleep 1000 & echo $!",
  ], { stepMs: 2000 });
  const pid = Number(await helper.nextLine());
  try {
    await assertRejects(
      () => helper[Symbol.asyncDispose](),
      Error,
      "its next line: not",
    );
  } finally {
    Deno.kill(pid, "SIGKILL");
  }
});
