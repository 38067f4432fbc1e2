import {
  domainLookupByName,
  domainOpenConsole,
  domainResume,
  type Libvirt,
  type LibvirtStream,
} from "../../agent/libvirt/index.ts";
import { bootedMarker } from "./guest.ts";
import { PROMPT } from "./linux-console.ts";
import { within } from "./wait.ts";

const ANSWER_MS = 120_000;

/** The shell that the tiny Linux guest runs on its serial console. */
export class GuestShell {
  readonly #console: LibvirtStream;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #printed = "";

  private constructor(console: LibvirtStream) {
    this.#console = console;
    this.#chunks = console[Symbol.asyncIterator]();
  }

  /**
   * The shell of a guest that was started paused, so that no output is missed: it resumes, and is up when
   * this resolves.
   */
  static async open(libvirt: Libvirt, name: string): Promise<GuestShell> {
    const { dom } = await libvirt.call(domainLookupByName, { name });
    const options = { dom, devName: null, flags: 0 };
    const shell = new GuestShell(await libvirt.openStream(domainOpenConsole, options));
    await libvirt.call(domainResume, { dom });
    await shell.#until(bootedMarker);
    await shell.#until(PROMPT);
    // Typed input must not match as an answer.
    await shell.run("stty -echo; dmesg -n 1");
    return shell;
  }

  /** The shell of a running guest, which may still boot: it is polled until it answers. */
  static async join(libvirt: Libvirt, name: string): Promise<GuestShell> {
    const { dom } = await libvirt.call(domainLookupByName, { name });
    const shell = new GuestShell(
      await libvirt.openStream(domainOpenConsole, { dom, devName: null, flags: 0 }),
    );
    const ask = (): void =>
      // Typed input is echoed unchanged; only a shell computes the sum.
      void shell.#console
        .write(Buffer.from("stty -echo; dmesg -n 1; echo joined-$((40+2))\n"))
        .catch(() => undefined);
    ask();
    const again = setInterval(ask, 2000);
    await shell.#until("joined-42").finally(() => clearInterval(again));
    await shell.#console.write(Buffer.from("echo last-$((40+3))\n"));
    await shell.#until("last-43");
    await shell.#until(PROMPT);
    return shell;
  }

  /** The output of a command for busybox's shell. */
  async run(command: string): Promise<string> {
    await this.#console.write(Buffer.from(`${command}; echo "done=$?"\n`));
    const printed = await this.#until(PROMPT);
    const [, output = "", code = "?"] = /^([\s\S]*)done=(\d+)\s*$/.exec(printed) ?? [];
    if (code !== "0") throw new Error(`${command}: exit code ${code}: ${printed}`);
    return output;
  }

  async close(): Promise<void> {
    await this.#console.abort();
  }

  /** The output up to and including the word. */
  async #until(word: string): Promise<string> {
    for (;;) {
      const at = this.#printed.indexOf(word);
      if (at >= 0) {
        const before = this.#printed.slice(0, at);
        this.#printed = this.#printed.slice(at + word.length);
        return before;
      }
      const chunk = await within(this.#chunks.next(), ANSWER_MS, `the guest to print ${word}`);
      if (chunk.done === true) throw new Error(`the console ended: ${this.#printed.slice(-2000)}`);
      this.#printed += Buffer.from(chunk.value).toString("latin1").replaceAll("\r", "");
    }
  }
}
