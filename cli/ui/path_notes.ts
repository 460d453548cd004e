import type { PathStatus } from "../../lib/inspect/locked_path.ts";

/** What is to be said behind the path of a file, by what it is worth. */
export const PATH_NOTES: Readonly<Record<PathStatus, string>> = {
  here: "",
  deleted: " (deleted)",
  "other-namespace": " (other namespace)",
  unreachable: " (unreachable)",
  unknown: "",
};
