/** Has V8 collect what nothing refers to any more. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let collect: (() => void) | undefined;

/**
 * Collects garbage until something that has become garbage just now is gone:
 * then what had become so before is gone too.
 */
export async function collectGarbage(): Promise<void> {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  const witness = new WeakRef({});
  for (let turn = 0; turn < 100; turn++) {
    // A weak reference that was made or read in this turn is still strong.
    await new Promise((resolve) => setTimeout(resolve));
    collect();
    if (witness.deref() === undefined) return;
  }
  throw new Error("V8 collects no garbage");
}
