import { SocleError, toSocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";
import type { LibvirtCalls } from "./certainty.ts";
import type { VmSpec } from "../../contract/spec.ts";

/** libvirt's virtual networks. */
export class Networks {
  readonly #libvirt: Pick<LibvirtCalls, "call">;

  constructor(calls: Pick<LibvirtCalls, "call">) {
    this.#libvirt = calls;
  }

  /**
   * Checks the networks of a VM's NICs. Throws `not_found` NETWORK_NOT_FOUND, and `unavailable` NETWORK_INACTIVE if they have
   * to be active.
   */
  async check({ nics }: Pick<VmSpec, "nics">, mustBe: "active" | "present" = "active"): Promise<void> {
    const names = nics.flatMap(({ source }) => (source.kind === "network" ? [source.network] : []));
    for (const name of new Set(names))
      if (!(await this.#isActive(name)) && mustBe === "active") throw inactive(name);
  }

  async #isActive(name: string): Promise<boolean> {
    try {
      const { net } = await this.#libvirt.call(libvirt.networkLookupByName, { name });
      return (await this.#libvirt.call(libvirt.networkIsActive, { net })).active;
    } catch (cause) {
      if (toSocleError(cause).reason !== "LIBVIRT_NO_NETWORK") throw cause;
      throw new SocleError("not_found", "NETWORK_NOT_FOUND", `there is no network ${name} on this host`, {
        cause,
      });
    }
  }
}

const inactive = (name: string): SocleError =>
  new SocleError(
    "unavailable",
    "NETWORK_INACTIVE",
    `network ${name} is not active; start it (virsh net-start ${name})`,
  );
