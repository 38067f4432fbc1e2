import { toSocleError } from "../../kernel/errors.ts";

const MOST_ATTEMPTS = 4;

/**
 * libvirt numbers the block nodes that it adds to a guest's QEMU, from the number in its record of the guest. If it died after it
 * had added some and before it recorded that, it chooses the same names again, which QEMU refuses: "Duplicate nodes". Each attempt
 * takes the next numbers. `ask` must have no effect if libvirt refuses it. libvirt has no error number of its own for it.
 */
export async function pastTakenNodes(ask: () => Promise<void>): Promise<void> {
  for (let attempts = 1; ; attempts += 1)
    try {
      await ask();
      return;
    } catch (thrown) {
      const isRefused = toSocleError(thrown).reason === "LIBVIRT_INTERNAL_ERROR";
      if (!isRefused || attempts === MOST_ATTEMPTS) throw thrown;
    }
}
