import { ClusterUnreachableError } from "./errors.ts";
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
  if (url.kind !== "etcd") {
    throw new ClusterUnreachableError(url.text, "there is no driver for it");
  }
  const { openEngine } = await import("./etcd/mod.ts");
  return openEngine(url, options);
}
