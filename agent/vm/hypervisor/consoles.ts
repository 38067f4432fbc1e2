import { KeyedLock } from "../../kernel/concurrency/keyed-lock.ts";
import { isSocleError, SocleError } from "../../kernel/errors.ts";
import type { LibvirtStream } from "../../libvirt/index.ts";
import type { Domains } from "./domains.ts";

/**
 * The guests' serial consoles, each held by one caller at a time. A takeover waits until the holder's stream has closed
 * cleanly: some libvirt versions (11.3 for one) may crash when they abort a stream while the guest writes to it.
 */
export class Consoles {
  readonly #domains: Pick<Domains, "console">;
  readonly #lock = new KeyedLock(16);
  readonly #held = new Map<string, LibvirtStream>();

  constructor(domains: Pick<Domains, "console">) {
    this.#domains = domains;
  }

  /** Ends with the signal. Throws `conflict` CONSOLE_IN_USE while it is held and not forced. */
  async open(id: string, force: boolean, signal: AbortSignal): Promise<LibvirtStream> {
    return await this.#lock.run(
      id,
      async () => {
        if (force) await this.#held.get(id)?.abort(takenOver());
        const stream = await this.#open(id, force, signal);
        this.#held.set(id, stream);
        void stream.ended.then(() => {
          if (this.#held.get(id) === stream) this.#held.delete(id);
        });
        return stream;
      },
      signal,
    );
  }

  /** libvirt disconnects any other holder, such as virsh. */
  async #open(id: string, force: boolean, signal: AbortSignal): Promise<LibvirtStream> {
    try {
      return await this.#domains.console(id, false, signal);
    } catch (thrown) {
      if (!force || !isSocleError(thrown) || thrown.reason !== "CONSOLE_IN_USE") throw thrown;
      return await this.#domains.console(id, true, signal);
    }
  }
}

const takenOver = (): SocleError =>
  new SocleError("unavailable", "CONSOLE_TAKEN_OVER", "another client took over the console");
