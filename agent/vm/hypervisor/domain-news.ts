import type { Clock } from "../../kernel/clock.ts";
import type * as libvirt from "../../libvirt/index.ts";

type Kind = libvirt.DomainEvent["kind"];

/** Events that wait for their listener: more of them say nothing more. */
const MOST_WAITING = 16;

/**
 * Receives libvirt's events of one domain until it is disposed of, so that a wait for an effect ends sooner than with the next
 * look. It proves nothing: events may be lost, and the effect is looked for.
 */
export class DomainNews implements Disposable {
  readonly #clock: Clock;
  readonly #end = new AbortController();
  #isHeard = false;
  #pause = new AbortController();

  constructor({ events }: Pick<libvirt.Libvirt, "events">, clock: Clock, id: string, kind: Kind) {
    this.#clock = clock;
    void this.#follow(events.subscribe(this.#end.signal, MOST_WAITING), id, kind);
  }

  /** Waits for an event since the last wait, at most for so long. */
  async next(withinMs: number): Promise<void> {
    if (!this.#isHeard) {
      this.#pause = new AbortController();
      await this.#clock.sleep(withinMs, this.#pause.signal).catch(() => undefined);
    }
    this.#isHeard = false;
  }

  [Symbol.dispose](): void {
    this.#end.abort();
  }

  async #follow(
    items: ReturnType<libvirt.Libvirt["events"]["subscribe"]>,
    id: string,
    kind: Kind,
  ): Promise<void> {
    for await (const item of items) {
      const isNews = item.kind === "overflow" || isOf(item.value, id, kind);
      if (!isNews) continue;
      this.#isHeard = true;
      this.#pause.abort();
    }
  }
}

const isOf = (event: libvirt.LibvirtEvent, id: string, kind: Kind): boolean =>
  event.kind === kind && "domain" in event && event.domain.uuid === id;
