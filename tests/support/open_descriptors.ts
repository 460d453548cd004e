/**
 * The descriptors this process has open, each with what it refers to.
 *
 * Sockets are left out unless asked for: the runtime opens two of its own half a
 * second after its start, and no lock of a file has one.
 */
export function openDescriptors({ withSockets = false } = {}): string[] {
  const found: string[] = [];
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      const target = Deno.readLinkSync(`/proc/self/fd/${name}`);
      if (withSockets || !target.startsWith("socket:")) {
        found.push(`${name} ${target}`);
      }
    } catch {
      // The descriptor of this very listing.
    }
  }
  return found.sort();
}
