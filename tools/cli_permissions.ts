/**
 * What the command line tool may do, for whoever starts it: bin/, the bundle's
 * first line, `deno compile`, the npm package. A test compares this with the
 * API that the source uses.
 *
 * `--allow-ffi` is as strong as all of them together; the rest is there so that
 * Deno's own API works, such as the one that `locks --html` writes with.
 */
export const CLI_PERMISSIONS: readonly string[] = [
  "--allow-ffi",
  "--allow-env",
  "--allow-write",
];
