import type { ClusterUrl } from "./url.ts";
import type { ClusterEngine, EngineOptions } from "./engine.ts";

/**
 * Loads the driver of an engine and opens it, without connecting yet.
 *
 * @param url Which engine; the lock's name in it plays no part.
 */
export async function openEngine(
  url: ClusterUrl,
  options: EngineOptions = {},
): Promise<ClusterEngine> {
  const { openEngine } = url.kind === "etcd"
    ? await import("./etcd/mod.ts")
    : await import("./postgres/mod.ts");
  return openEngine(url, options);
}
