/**
 * Read before every test module (`deno test --preload`): a descriptor that is
 * closed a second time fails the test. Its number may be another's by then, a
 * socket's of the program, and so the mistake shows where nothing is wrong.
 *
 * @module
 */

import { EBADF } from "../../lib/sys/errno.ts";
import { watchDescriptors } from "../../lib/sys/file.ts";
import { openFlags } from "../../lib/sys/process/descriptors.ts";

watchDescriptors({
  opened() {},
  closed(fd) {
    if (openFlags(fd) !== -EBADF) return;
    throw new Error(`descriptor ${fd} is closed, and it isn't open`);
  },
});
