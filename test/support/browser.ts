import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, rm, writeFile } from "node:fs/promises";
import { accessSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { eventually, within } from "./wait.ts";

const chromium = "/usr/bin/chromium";
const ANSWER_MS = 60_000;
/** It reads 300 MB at its start: minutes if the disk stalls meanwhile. */
const START_MS = 300_000;

/** Why no browser can run here; false if one can. */
export function browserUnavailable(): string | false {
  try {
    accessSync(chromium);
    return false;
  } catch {
    return "chromium is not installed (scripts/setup --tests installs it)";
  }
}

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  readonly phone?: boolean;
}

/** A real headless Chromium, controlled over a pipe in the DevTools protocol. */
export class Browser {
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly #pages = new Map<string, BrowserPage>();
  #lastId = 0;
  #printed = "";

  private constructor(child: ChildProcess, profile: string) {
    this.#process = child;
    this.#profile = profile;
    child.stderr?.on(
      "data",
      (chunk: Buffer) => (this.#printed = (this.#printed + chunk.toString()).slice(-4000)),
    );
    let rest = "";
    (child.stdio[4] as Readable).setEncoding("utf8").on("data", (text: string) => {
      const messages = (rest + text).split("\0");
      rest = messages.pop() ?? "";
      for (const message of messages) this.#take(JSON.parse(message) as Message);
    });
    (child.stdio[3] as Writable).on("error", () => undefined);
  }

  /** Its profile is new, and is removed with it. */
  static async start(): Promise<Browser> {
    await access(chromium);
    const profile = await mkdtemp(join(tmpdir(), "socle-browser-"));
    const args = [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--disable-dev-shm-usage",
      "--hide-scrollbars",
      "--remote-debugging-pipe",
      `--user-data-dir=${profile}`,
      "about:blank",
    ];
    const child = spawn("setpriv", ["--pdeathsig", "KILL", chromium, ...args], {
      stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"],
      env: { PATH: process.env["PATH"] ?? "", HOME: profile, TMPDIR: profile, TZ: "UTC", LANG: "C.UTF-8" },
    });
    const browser = new Browser(child, profile);
    try {
      await browser.ask("Browser.getVersion", {}, undefined, START_MS);
    } catch (cause) {
      const printed = browser.#printed;
      await browser.stop();
      throw new Error(`chromium did not start: ${printed}`, { cause });
    }
    return browser;
  }

  async open(url: string, options: PageOptions = {}): Promise<BrowserPage> {
    const { width = 1440, height = 900, dark = false, phone = false } = options;
    const { targetId } = await this.ask("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.ask("Target.attachToTarget", { targetId, flatten: true });
    const page = new BrowserPage(this, String(sessionId), String(targetId));
    this.#pages.set(String(sessionId), page);
    await page.send("Page.enable");
    await page.send("Runtime.enable");
    await page.send("Log.enable");
    await page.send("Network.enable");
    await page.send("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: phone ? 2 : 1,
      mobile: phone,
    });
    await page.send("Emulation.setEmulatedMedia", {
      features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }],
    });
    await page.send("Page.navigate", { url });
    return page;
  }

  async ask(
    method: string,
    params: object = {},
    sessionId?: string,
    withinMs = ANSWER_MS,
  ): Promise<Record<string, unknown>> {
    const id = (this.#lastId += 1);
    const answer = new Promise<Message>((resolve) => this.#waiting.set(id, resolve));
    const message = { id, method, params, ...(sessionId === undefined ? {} : { sessionId }) };
    (this.#process.stdio[3] as Writable).write(`${JSON.stringify(message)}\0`);
    try {
      const { error, result = {} } = await within(answer, withinMs, `chromium to answer ${method}`);
      if (error !== undefined) throw new Error(`${method}: ${error.message}`);
      return result;
    } finally {
      this.#waiting.delete(id);
    }
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const ended = once(this.#process, "exit");
      this.#process.kill("SIGKILL");
      await ended;
    }
    // Its helper processes end a moment after it, and write until then.
    await eventually(() => rm(this.#profile, { recursive: true, force: true }).then(() => true), {
      what: "chromium's profile to go",
    });
  }

  #take(message: Message): void {
    if (message.id !== undefined) this.#waiting.get(message.id)?.(message);
    else if (message.sessionId !== undefined) this.#pages.get(message.sessionId)?.take(message);
  }
}

/** One tab. */
export class BrowserPage {
  /** Its errors: exceptions, refused scripts, failed loads. */
  readonly errors: string[] = [];
  /** Bytes received over the network, by path. */
  readonly receivedBytes = new Map<string, number>();
  readonly #browser: Browser;
  readonly #session: string;
  readonly #target: string;
  readonly #paths = new Map<string, string>();

  constructor(browser: Browser, session: string, target: string) {
    this.#browser = browser;
    this.#session = session;
    this.#target = target;
  }

  send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    return this.#browser.ask(method, params, this.#session);
  }

  /** The value of an expression in the page. */
  async value<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return (result as { value: T }).value;
  }

  /** Waits until an expression in the page is true. */
  async until(expression: string, what: string, timeoutMs = 20_000): Promise<void> {
    try {
      await eventually(() => this.value<boolean>(`Boolean(${expression})`), {
        what,
        timeoutMs,
        intervalMs: 50,
      });
    } catch (cause) {
      const seen = await this.value<string>("document.body.innerText").catch(() => "");
      throw new Error(`${what}; the page shows:\n${seen.slice(0, 3000)}\n${this.errors.join("\n")}`, {
        cause,
      });
    }
  }

  text(selector: string): Promise<string> {
    return this.value<string>(`document.querySelector(${JSON.stringify(selector)})?.textContent ?? ""`);
  }

  /** A PNG of the whole page, or of the visible part. */
  async screenshot(path: string, { whole = true } = {}): Promise<void> {
    const { data } = await this.send("Page.captureScreenshot", {
      format: "png",
      captureBeyondViewport: whole,
      ...(whole ? { clip: await this.#whole() } : {}),
    });
    await writeFile(path, Buffer.from(String(data), "base64"));
  }

  async close(): Promise<void> {
    await this.#browser.ask("Target.closeTarget", { targetId: this.#target });
  }

  take({ method, params = {} }: Message): void {
    if (method === "Runtime.exceptionThrown") this.errors.push(JSON.stringify(params["exceptionDetails"]));
    if (method === "Log.entryAdded") {
      const entry = params["entry"] as { level: string; text: string; url?: string };
      if (entry.level === "error") this.errors.push(`${entry.text} ${entry.url ?? ""}`);
    }
    if (method === "Network.responseReceived") {
      const { requestId, response } = params as { requestId: string; response: { url: string } };
      this.#paths.set(requestId, new URL(response.url).pathname);
    }
    if (method === "Network.loadingFinished") {
      const { requestId, encodedDataLength } = params as { requestId: string; encodedDataLength: number };
      const path = this.#paths.get(requestId);
      if (path !== undefined) this.receivedBytes.set(path, encodedDataLength);
    }
  }

  async #whole(): Promise<object> {
    const { cssContentSize } = await this.send("Page.getLayoutMetrics");
    return { ...(cssContentSize as { width: number; height: number }), x: 0, y: 0, scale: 1 };
  }
}
