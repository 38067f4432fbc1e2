import { toSocleError } from "../../kernel/errors.ts";

/** More than the disks of a VM: a change of all of them leaves so many at most. */
const MOST_ATTEMPTS = 64;
/** QEMU's words: libvirt has no error number of its own for it. */
const TAKEN = /Duplicate nodes/;

/**
 * libvirt numbers the block nodes that it adds to a guest's QEMU, from the number in its record of the guest. If it died after it
 * had added some and before it recorded that, it chooses the same names again, which QEMU refuses. Each attempt takes the
 * next number. `ask` must have no effect if libvirt refuses it.
 */
export async function pastTakenNodes<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts += 1)
    try {
      return await ask();
    } catch (thrown) {
      const { reason, message } = toSocleError(thrown);
      const isTaken = reason === "LIBVIRT_INTERNAL_ERROR" && TAKEN.test(message);
      if (!isTaken || attempts === MOST_ATTEMPTS) throw thrown;
    }
}
