/**
 * What a garbage collection in between doesn't change: an abort ends a stream
 * that the server would keep open for ever.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Gateway } from "../../lib/cluster/etcd/gateway.ts";
import { etcdSettings } from "../../lib/cluster/etcd/settings.ts";
import { waitForDelete } from "../../lib/cluster/etcd/watch.ts";
import {
  acquireClusterLock,
  ClusterLockTimeoutError,
  ClusterUnreachableError,
} from "../../lib/cluster/mod.ts";
import { parseClusterUrl } from "../../lib/cluster/url.ts";
import { collectGarbage } from "../support/collect_garbage.ts";
import { ETCD, EtcdServer } from "../support/etcd.ts";
import { within } from "../support/within.ts";

/** So long, and no longer, is waited for what could hang. */
const HANG_MS = 30_000;

/** A server that begins each answer and never ends one. */
class Silent implements AsyncDisposable {
  readonly #began = Promise.withResolvers<void>();
  readonly #left = Promise.withResolvers<void>();
  readonly #end = new AbortController();
  readonly #server = Deno.serve(
    {
      hostname: "127.0.0.1",
      port: 0,
      signal: this.#end.signal,
      onListen: () => {},
    },
    () =>
      new Response(
        new ReadableStream({
          start: (controller) => {
            controller.enqueue(new TextEncoder().encode("\n"));
            this.#began.resolve();
          },
          cancel: () => this.#left.resolve(),
        }),
      ),
  );

  /** Resolves when it has begun an answer. */
  readonly began: Promise<void> = this.#began.promise;
  /** Resolves when whoever read an answer has gone. */
  readonly left: Promise<void> = this.#left.promise;

  gateway(attemptMs?: number): Gateway {
    const url = parseClusterUrl(`etcd://127.0.0.1:${this.#server.addr.port}/`);
    return new Gateway(
      etcdSettings(url, {
        env: () => undefined,
        ...(attemptMs === undefined ? {} : { connectTimeoutMs: attemptMs }),
      }),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    // A shutdown would wait for who still reads.
    this.#end.abort();
    return this.#server.finished;
  }
}

/** A turn of the event loop for what has arrived, and a collection. */
async function collectSoon(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    await collectGarbage();
  }
}

Deno.test("an abort ends a watch whose answer has been collected", async () => {
  await using server = new Silent();
  using gateway = server.gateway();
  const abort = new AbortController();
  const watch = waitForDelete(gateway, [{ keys: ["k"] }], 1n, abort.signal);
  await server.began;
  await collectSoon();
  abort.abort();
  await within(watch, "the watch's end", HANG_MS);
  await within(server.left, "its connection's end", HANG_MS);
});

Deno.test("an answer that begins and never ends counts as none, in time", async () => {
  await using server = new Silent();
  using gateway = server.gateway(500);
  const call = gateway.call("kv/range", {}, { patienceMs: 0 });
  const error = assertRejects(() => call, ClusterUnreachableError);
  await server.began;
  await collectSoon();
  await within(error, "the call's end", HANG_MS);
  await within(server.left, "its connection's end", HANG_MS);
});

Deno.test({
  name:
    `etcd: a wait ends in time and a lock is released, with garbage collected meanwhile${ETCD.suffix}`,
  ignore: ETCD.ignore,
  fn: async () => {
    await using server = await EtcdServer.start();
    const url = server.url("deploy");
    await using lock = await acquireClusterLock(url);
    const waits = Promise.withResolvers<void>();
    const wait = acquireClusterLock(url, {
      timeoutMs: 1000,
      onWait: () => waits.resolve(),
    });
    const error = assertRejects(() => wait, ClusterLockTimeoutError);
    await waits.promise;
    await collectSoon();
    await within(error, "the wait's end", HANG_MS);
    assert(lock.held);
    await within(lock.release(), "the release", HANG_MS);
    assertEquals(lock.held, false);
  },
});
