/**
 * Locks in etcd, by the JSON gateway that every server of version 3.4 and
 * later has unless told otherwise.
 *
 * @module
 */

import type { ClusterEngine, EngineOptions } from "../engine.ts";
import type { ClusterUrl } from "../url.ts";
import { EtcdEngine } from "./engine.ts";

/** Opens the driver; see `EngineOpener`. */
export function openEngine(
  url: ClusterUrl,
  options: EngineOptions = {},
): ClusterEngine {
  return new EtcdEngine(url, options);
}
