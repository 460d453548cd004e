/**
 * PATH METHOD N CONTENT: changes a file, and is killed before its Nth system
 * call that changes anything; prints "done" if there are fewer.
 */
import {
  transformBy,
  type TransformMethod,
} from "../../../lib/patterns/transform_file.ts";
import { interceptCalls } from "./faults.ts";

const [path, method, last, content] = Deno.args;
let calls = 0;
await transformBy(
  interceptCalls(() => {
    if (++calls === Number(last)) Deno.kill(Deno.pid, "SIGKILL");
    return undefined;
  }),
  path!,
  () => new TextEncoder().encode(content),
  { method: method as TransformMethod },
);
console.log("done");
