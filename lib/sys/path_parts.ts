/**
 * The directory part of a path, as dirname(3) gives it: all before the last
 * component, `.` for a bare name. Loading a path package for this one
 * function would cost a lock's hot path more than the lock itself.
 */
export function dirname(path: string): string {
  const trimmed = path.replace(/(?<=.)\/+$/, "");
  const slash = trimmed.lastIndexOf("/");
  if (slash < 0) return ".";
  return trimmed.slice(0, slash).replace(/\/+$/, "") || "/";
}
