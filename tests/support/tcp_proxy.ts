/** A way to a server on loopback that a test can cut. */
export class TcpProxy implements Disposable {
  readonly port: number;
  readonly #listener: Deno.TcpListener;
  readonly #target: number;
  readonly #connections = new Set<Deno.Conn>();
  #isCut = false;

  constructor(target: number) {
    this.#target = target;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = this.#listener.addr.port;
    void this.#serve();
  }

  /**
   * From now on nothing comes through, in either direction: connections stay
   * open and silent, as when a cable is pulled.
   */
  cut(): void {
    this.#isCut = true;
  }

  async #serve(): Promise<void> {
    for await (const client of this.#listener) {
      this.#connections.add(client);
      if (this.#isCut) continue;
      const server = await Deno.connect({
        hostname: "127.0.0.1",
        port: this.#target,
      }).catch(() => undefined);
      if (server === undefined) {
        this.#close(client);
        continue;
      }
      this.#connections.add(server);
      void this.#pump(client, server);
      void this.#pump(server, client);
    }
  }

  async #pump(from: Deno.Conn, to: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(16 * 1024);
    try {
      for (;;) {
        const count = await from.read(buffer);
        if (this.#isCut) return;
        if (count === null) break;
        for (let at = 0; at < count;) {
          at += await to.write(buffer.subarray(at, count));
        }
      }
    } catch {
      // One side has gone away.
    }
    this.#close(from);
    this.#close(to);
  }

  #close(connection: Deno.Conn): void {
    if (this.#connections.delete(connection)) connection.close();
  }

  [Symbol.dispose](): void {
    this.#isCut = true;
    this.#listener.close();
    for (const connection of this.#connections) this.#close(connection);
  }
}
