import {
  domainLookupByName,
  domainOpenConsole,
  domainResume,
  type Libvirt,
  type LibvirtStream,
} from "../../agent/libvirt/index.ts";
import { bootedMarker } from "./guest.ts";
import { within } from "./wait.ts";

const PROMPT = "guest# ";
const ANSWER_MS = 120_000;

/** The shell that the tiny Linux guest leaves on its serial console. */
export class GuestShell {
  readonly #console: LibvirtStream;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #said = "";

  private constructor(console: LibvirtStream) {
    this.#console = console;
    this.#chunks = console[Symbol.asyncIterator]();
  }

  /** Of a guest that was started paused, so that nothing it says is missed: it goes on, and is up when this resolves. */
  static async open(libvirt: Libvirt, name: string): Promise<GuestShell> {
    const { dom } = await libvirt.call(domainLookupByName, { name });
    const options = { dom, devName: null, flags: 0 };
    const shell = new GuestShell(await libvirt.openStream(domainOpenConsole, options));
    await libvirt.call(domainResume, { dom });
    await shell.#until(bootedMarker);
    await shell.#until(PROMPT);
    // What is typed is not to be taken for an answer.
    await shell.run("stty -echo; dmesg -n 1");
    return shell;
  }

  /** Of a guest that runs, and may still be on its way up: it is asked until it answers. */
  static async join(libvirt: Libvirt, name: string): Promise<GuestShell> {
    const { dom } = await libvirt.call(domainLookupByName, { name });
    const shell = new GuestShell(
      await libvirt.openStream(domainOpenConsole, { dom, devName: null, flags: 0 }),
    );
    const ask = (): void =>
      // What is typed is echoed as it is; only what a shell makes of it has the sum.
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

  /** What a command writes. It is for the shell of busybox. */
  async run(command: string): Promise<string> {
    await this.#console.write(Buffer.from(`${command}; echo "done=$?"\n`));
    const said = await this.#until(PROMPT);
    const [, output = "", code = "?"] = /^([\s\S]*)done=(\d+)\s*$/.exec(said) ?? [];
    if (code !== "0") throw new Error(`${command}: exit code ${code}: ${said}`);
    return output;
  }

  async close(): Promise<void> {
    await this.#console.abort();
  }

  /** All that is said up to the word, which is taken too. */
  async #until(word: string): Promise<string> {
    for (;;) {
      const at = this.#said.indexOf(word);
      if (at >= 0) {
        const before = this.#said.slice(0, at);
        this.#said = this.#said.slice(at + word.length);
        return before;
      }
      const chunk = await within(this.#chunks.next(), ANSWER_MS, `the guest to say ${word}`);
      if (chunk.done === true) throw new Error(`the console ended: ${this.#said.slice(-2000)}`);
      this.#said += Buffer.from(chunk.value).toString("latin1").replaceAll("\r", "");
    }
  }
}
