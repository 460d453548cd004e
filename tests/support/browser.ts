/** A real browser, driven by the Chrome DevTools Protocol. */
import { isInstalled } from "./programs.ts";

/** The browser there is, if any. */
const program = ["chromium", "chromium-browser", "google-chrome"]
  .find(isInstalled);

/** Spread into a test's definition: it says why it can't run here. */
export const needsBrowser: { ignore: boolean; suffix: string } = {
  ignore: program === undefined,
  suffix: program === undefined ? " (no chromium here)" : "",
};

type Result = Record<string, unknown>;

/** One page in a browser of its own. */
export class Browser implements AsyncDisposable {
  /** What was written to the console, and what was thrown. */
  readonly complaints: string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #answers = new Map<number, (result: Result) => void>();
  readonly #events = new Map<string, () => void>();
  #next = 1;

  private constructor(
    child: Deno.ChildProcess,
    profile: string,
    socket: WebSocket,
  ) {
    this.#child = child;
    this.#profile = profile;
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
  }

  /** Opens a page and waits until it is loaded. */
  static async open(
    url: string,
    options: { width?: number; height?: number; dark?: boolean } = {},
  ): Promise<Browser> {
    const profile = Deno.makeTempDirSync({ prefix: "holdfast-browser-" });
    const child = new Deno.Command(program!, {
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-dev-shm-usage",
        "--remote-debugging-port=0",
        `--user-data-dir=${profile}`,
        "about:blank",
      ],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const address = await findAddress(child.stderr);
    const origin = new URL(address).host;
    const targets = await (await fetch(`http://${origin}/json`)).json();
    const page = targets.find((t: { type: string }) => t.type === "page");
    const socket = new WebSocket(page.webSocketDebuggerUrl);
    await new Promise((resolve) => socket.onopen = resolve);
    const browser = new Browser(child, profile, socket);
    await browser.#send("Page.enable");
    await browser.#send("Runtime.enable");
    await browser.#send("Log.enable");
    const { width = 1200, height = 900, dark = false } = options;
    await browser.#send("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: false,
    });
    await browser.#send("Emulation.setEmulatedMedia", {
      features: [{
        name: "prefers-color-scheme",
        value: dark ? "dark" : "light",
      }],
    });
    const loaded = browser.#event("Page.loadEventFired");
    await browser.#send("Page.navigate", { url });
    await loaded;
    return browser;
  }

  #receive(message: Result): void {
    const { id, method, params } = message as {
      id?: number;
      method?: string;
      params?: Result;
    };
    if (id !== undefined) {
      this.#answers.get(id)?.(message);
      this.#answers.delete(id);
    } else if (method !== undefined) {
      if (/exceptionThrown|consoleAPICalled|entryAdded/.test(method)) {
        this.complaints.push(JSON.stringify(params));
      }
      this.#events.get(method)?.();
    }
  }

  #event(method: string): Promise<void> {
    return new Promise((resolve) => this.#events.set(method, resolve));
  }

  async #send(method: string, params: object = {}): Promise<Result> {
    const id = this.#next++;
    const answer = new Promise<Result>((resolve) =>
      this.#answers.set(id, resolve)
    );
    this.#socket.send(JSON.stringify({ id, method, params }));
    const { result, error } = await answer;
    if (error !== undefined) {
      throw new Error(`${method}: ${JSON.stringify(error)}`);
    }
    return result as Result;
  }

  /** The value of an expression, awaited. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.#send("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    }) as { result: { value: T }; exceptionDetails?: object };
    if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
    return result.value;
  }

  /** Presses and lets go of a key, such as `Tab`, `ArrowRight` or `b`. */
  async press(key: string, times = 1): Promise<void> {
    const codes: Readonly<Record<string, number>> = {
      Tab: 9,
      Enter: 13,
      Escape: 27,
      PageUp: 33,
      PageDown: 34,
      End: 35,
      Home: 36,
      ArrowLeft: 37,
      ArrowUp: 38,
      ArrowRight: 39,
      ArrowDown: 40,
    };
    const text = key === "Enter" ? "\r" : key.length === 1 ? key : undefined;
    const event = {
      key,
      windowsVirtualKeyCode: codes[key] ?? key.toUpperCase().charCodeAt(0),
      ...(text === undefined ? {} : { text }),
    };
    for (let n = 0; n < times; n++) {
      await this.#send("Input.dispatchKeyEvent", { type: "keyDown", ...event });
      await this.#send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
    }
  }

  /** A picture of what is seen, as PNG. */
  async screenshot(): Promise<Uint8Array> {
    const { data } = await this.#send("Page.captureScreenshot");
    return Uint8Array.from(atob(String(data)), (c) => c.charCodeAt(0));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#socket.onclose = resolve);
    this.#child.kill("SIGTERM");
    await this.#child.status;
    await closed;
    await removeTree(this.#profile);
  }
}

/** Its helpers end a little later than the browser, and write until then. */
async function removeTree(path: string): Promise<void> {
  for (let attempts = 200;; attempts--) {
    try {
      return Deno.removeSync(path, { recursive: true });
    } catch (error) {
      if (attempts === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}

/** The address that the browser says it listens on. */
async function findAddress(
  stderr: ReadableStream<Uint8Array>,
): Promise<string> {
  const reader = stderr.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the browser ended: ${text}`);
    text += value;
    const address = /listening on (ws:\S+)/.exec(text)?.[1];
    if (address === undefined) continue;
    // The rest is of no use, but a full pipe would stop the browser.
    (async () => {
      while (!(await reader.read()).done);
    })();
    return address;
  }
}
