import { toSocleError } from "../../kernel/errors.ts";

/** More than the disks of a VM: a change of all of them leaves so many at most. */
const MOST_ATTEMPTS = 64;

/**
 * libvirt numbers the block nodes that it adds to a guest's QEMU, from the number in its record of the guest. If it died after it
 * had added some and before it recorded that, it chooses the same names again, which QEMU refuses: "Duplicate nodes". Each attempt
 * takes the next number, of which the refusal tells. `ask` must have no effect if libvirt refuses it. libvirt has no error
 * number of its own for it.
 */
export async function pastTakenNodes(ask: () => Promise<void>): Promise<void> {
  let refusal: string | undefined;
  for (let attempts = 1; ; attempts += 1)
    try {
      await ask();
      return;
    } catch (thrown) {
      const { reason, message } = toSocleError(thrown);
      const isAnother = reason === "LIBVIRT_INTERNAL_ERROR" && message !== refusal;
      if (!isAnother || attempts === MOST_ATTEMPTS) throw thrown;
      refusal = message;
    }
}
