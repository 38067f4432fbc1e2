import { abortReason } from "../internal/clock.ts";
import type { LibvirtError } from "../internal/errors.ts";
import { unreachable } from "../rpc/errors.ts";

/** Aborted with the first of the two, whose reason it has; with the other, because the client ends. */
export function either(
  asked: AbortSignal | undefined,
  running: AbortSignal,
): { readonly signal: AbortSignal; readonly release: () => void } {
  const ending = new AbortController();
  const over = new AbortController();
  const follow = (followed: AbortSignal, why: () => Error): void => {
    const onAbort = (): void => ending.abort(why());
    if (followed.aborted) onAbort();
    else followed.addEventListener("abort", onAbort, { once: true, signal: over.signal });
  };
  if (asked !== undefined) follow(asked, () => abortReason(asked));
  follow(running, closed);
  return { signal: ending.signal, release: () => over.abort() };
}

export function closed(): LibvirtError {
  return unreachable("CLOSED", "the libvirt client does not run");
}
