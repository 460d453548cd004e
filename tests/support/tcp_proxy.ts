/** A proxy on loopback whose connections can be cut without either end knowing. */
export class TcpProxy implements AsyncDisposable {
  readonly port: number;
  readonly #listener: Deno.TcpListener;
  readonly #connections: Deno.TcpConn[] = [];
  readonly #running: Promise<unknown>[] = [];
  #isCut = false;

  constructor(targetPort: number) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = this.#listener.addr.port;
    this.#running.push(this.#accept(targetPort));
  }

  /** From now on nothing passes any more, not even the end of a connection. */
  cut(): void {
    this.#isCut = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) close(connection);
    await Promise.all(this.#running);
  }

  async #accept(targetPort: number): Promise<void> {
    for await (const client of this.#listener) {
      this.#connections.push(client);
      if (this.#isCut) continue;
      const server = await Deno.connect({
        hostname: "127.0.0.1",
        port: targetPort,
      });
      this.#connections.push(server);
      this.#running.push(
        this.#pass(client, server),
        this.#pass(server, client),
      );
    }
  }

  async #pass(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(65536);
    try {
      for (;;) {
        const length = await from.read(buffer);
        if (this.#isCut) return;
        if (length === null) {
          await to.closeWrite();
          return;
        }
        await to.write(buffer.slice(0, length));
      }
    } catch {
      if (!this.#isCut) close(to);
    }
  }
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It has been closed already.
  }
}
