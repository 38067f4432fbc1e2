import { readlinkSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import type { TestContext } from "node:test";

type Call = "write" | "datasync" | "truncate" | "sync";

/**
 * How often each of these calls fails from now on, for all file handles of this process: true is always; a
 * function runs before the next call, which succeeds.
 */
export type Failing = Partial<Record<Call, number | true | (() => Promise<void>)>>;

/**
 * A disk that fails as set: `failing.datasync = 1` refuses the next fdatasync with EIO. A refused call has no
 * effect; a refused write may still write (`tornWrites`: everything, or that many bytes), like a
 * device that fails late. `of`: only files of these paths.
 */
export async function failingDisk(
  t: TestContext,
  {
    code = "EIO",
    tornWrites = false,
    of = /^/,
  }: { code?: string; tornWrites?: boolean | number; of?: RegExp } = {},
): Promise<{ failing: Failing; restore: () => void }> {
  const probe = await open("/dev/null", "r");
  const prototype = Object.getPrototypeOf(probe) as Record<Call, (...args: unknown[]) => Promise<unknown>>;
  await probe.close();
  const failing: Failing = {};
  const reals = new Map<Call, (...args: unknown[]) => Promise<unknown>>();
  for (const name of ["write", "datasync", "truncate", "sync"] as const) {
    const real = prototype[name];
    reals.set(name, real);
    prototype[name] = async function (this: FileHandle, ...args: unknown[]) {
      const left = failing[name] ?? 0;
      const isMeant = left !== 0 && of.test(readlinkSync(`/proc/self/fd/${this.fd}`));
      if (!isMeant) return await real.apply(this, args);
      if (typeof left === "function") {
        failing[name] = 0;
        await left();
        return await real.apply(this, args);
      }
      if (left !== true) failing[name] = left - 1;
      if (name === "write" && tornWrites !== false) {
        const [buffer, offset, length, position] = args as [Buffer, number, number, number];
        const bytes = tornWrites === true ? length : Math.min(length, tornWrites);
        await real.call(this, buffer, offset, bytes, position);
      }
      throw Object.assign(new Error(`${code}: refused on purpose, ${name}`), { code, syscall: name });
    };
  }
  const restore = (): void => {
    for (const [name, real] of reals) prototype[name] = real;
  };
  t.after(restore);
  return { failing, restore };
}
