/** Makes a directory the current one until the end of the block. */
export class WorkingDirectory implements Disposable {
  readonly #before = Deno.cwd();

  constructor(path: string) {
    Deno.chdir(path);
  }

  [Symbol.dispose](): void {
    Deno.chdir(this.#before);
  }
}
