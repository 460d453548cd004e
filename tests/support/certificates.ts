/** Certificates of a test's own, by openssl(1). */
import { runProgram } from "./run_program.ts";
import { TempDir } from "./temp_dir.ts";

/** A certificate authority and what it has signed, in a directory. */
export class Certificates implements Disposable {
  readonly #directory = new TempDir();

  private constructor() {}

  static async create(): Promise<Certificates> {
    const made = new Certificates();
    await made.#openssl(
      ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
      ["-nodes", "-days", "2", "-subj", "/CN=test authority"],
      ["-keyout", made.path("ca.key"), "-out", made.path("ca.pem")],
    );
    return made;
  }

  /** The path of one of its files. */
  path(name: string): string {
    return this.#directory.join(name);
  }

  /** The authority's certificate. */
  get ca(): string {
    return this.path("ca.pem");
  }

  /** Signs a certificate for 127.0.0.1, valid for servers and clients. */
  async sign(name: string, subject = "/O=test"): Promise<{
    cert: string;
    key: string;
  }> {
    const [key, cert] = [this.path(`${name}.key`), this.path(`${name}.pem`)];
    const [request, extensions] = [
      this.path(`${name}.csr`),
      this.path(`${name}.ext`),
    ];
    Deno.writeTextFileSync(
      extensions,
      "subjectAltName=IP:127.0.0.1,DNS:localhost\n" +
        "extendedKeyUsage=serverAuth,clientAuth\n",
    );
    await this.#openssl(
      ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
      ["-nodes", "-subj", subject, "-keyout", key, "-out", request],
    );
    await this.#openssl(
      ["x509", "-req", "-in", request, "-days", "2", "-out", cert],
      ["-CA", this.ca, "-CAkey", this.path("ca.key"), "-CAcreateserial"],
      ["-extfile", extensions],
    );
    return { cert, key };
  }

  async #openssl(...args: string[][]): Promise<void> {
    const { code, stderr } = await runProgram("openssl", args.flat());
    if (code !== 0) throw new Error(stderr);
  }

  [Symbol.dispose](): void {
    this.#directory[Symbol.dispose]();
  }
}
