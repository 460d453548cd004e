import { assertEquals } from "@std/assert";
import { readApi, SNAPSHOT_PATH } from "../tools/api_snapshot.ts";

Deno.test("the public surface is what it was; if it is to change, run `deno task api:update` and write it into the changelog", async () => {
  assertEquals(
    (await readApi()).split("\n"),
    Deno.readTextFileSync(SNAPSHOT_PATH).split("\n"),
  );
});
