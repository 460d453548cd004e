/** The descriptors this process has open, each with what it refers to. */
export function openDescriptors(): string[] {
  const found: string[] = [];
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      found.push(`${name} ${Deno.readLinkSync(`/proc/self/fd/${name}`)}`);
    } catch {
      // The descriptor of this very listing.
    }
  }
  return found.sort();
}
