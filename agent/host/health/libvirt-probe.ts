import type { Clock } from "../../kernel/clock.ts";
import type { LibvirtFacts } from "../inventory/libvirt-facts.ts";
import { bad, good, type Verdict } from "./trigger.ts";
import { messageOf } from "../../kernel/thrown.ts";

/** Probes whether libvirt answers. Rejects only when the signal aborts. */
export async function probeLibvirt(
  facts: LibvirtFacts,
  clock: Clock,
  { signal, timeoutMs }: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<Verdict> {
  const startedMs = clock.monotonicMs();
  try {
    await facts.probe(signal, timeoutMs);
    return good(`libvirt answered in ${Math.round(clock.monotonicMs() - startedMs)} ms`);
  } catch (thrown) {
    signal.throwIfAborted();
    return bad(messageOf(thrown));
  }
}
