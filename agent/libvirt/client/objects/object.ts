import type { Caller } from "./caller.ts";

/** One object of libvirt, as it was found: it holds no connection and no state. */
export abstract class LibvirtObject<R extends { readonly name: string }> {
  /** For `Libvirt.call`: the object as its procedures take it. */
  readonly ref: R;
  readonly #caller: Caller;

  constructor(caller: Caller, ref: R) {
    this.#caller = caller;
    this.ref = ref;
  }

  /** A getter, so that a printed or copied object has no connection in it. */
  protected get caller(): Caller {
    return this.#caller;
  }

  get name(): string {
    return this.ref.name;
  }
}
