/** A new directory for one test, removed with all that is in it. */
export class TempDir implements Disposable {
  readonly path: string;

  constructor(parent?: string) {
    this.path = Deno.realPathSync(Deno.makeTempDirSync({
      prefix: "holdfast-test-",
      ...(parent === undefined ? {} : { dir: parent }),
    }));
  }

  /** The path of a name in it. */
  join(name: string): string {
    return `${this.path}/${name}`;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}
