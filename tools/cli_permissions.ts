/**
 * What the command line tool may do, for whoever starts it: bin/, the bundle's
 * first line, `deno compile`, the npm package. A test compares this with the
 * API that the source uses.
 *
 * `--allow-ffi` is as strong as all of them together; the rest is there so that
 * Deno's own API works, such as what link locks and `locks --html` use.
 */
export const CLI_PERMISSIONS: readonly string[] = [
  "--allow-env",
  "--allow-ffi",
  "--allow-net",
  "--allow-read",
  "--allow-run",
  "--allow-sys",
  "--allow-write",
];
