import type { Clock } from "../../kernel/clock.ts";
import { toSocleError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/text/json.ts";
import * as z from "../../kernel/zod.ts";
import * as libvirt from "../../libvirt/index.ts";
import type { LibvirtCalls } from "./certainty.ts";
import type { DomainReads } from "./domain-reads.ts";
import { isActive } from "./domain-state.ts";
import { reference } from "./stamps.ts";
import { deviceName } from "../model/device-names.ts";

/** QEMU's BlockInfo (qapi/block-core.json), as far as it is needed. */
const answer = z.object({
  return: z.array(
    z.object({ qdev: z.string().optional(), inserted: z.object({ file: z.string() }).optional() }),
  ),
});

const QUERY = JSON.stringify({ execute: "query-block" });

/** Kinds of refusals that stay: the guest is off, or this libvirt passes on no commands. */
const LASTING: ReadonlySet<string> = new Set(["conflict", "denied", "unsupported"]);
/** How long libvirt may take to see that a QEMU has ended. */
const SEEN_ENDED_WITHIN_MS = 2000;
const LOOK_EVERY_MS = 100;

/**
 * The files that the QEMU of a running guest writes to, by the names of the disks; none of a guest that is off, and where libvirt
 * refuses to ask. libvirt's XML shows only what it has recorded. It changes nothing but a mark of libvirt on this
 * run of the guest, that its monitor was used (tainted: custom-monitor). Throws if there is no answer now.
 */
export async function filesInQemu(
  calls: LibvirtCalls,
  clock: Pick<Clock, "monotonicMs" | "sleep">,
  reads: Pick<DomainReads, "state">,
  id: string,
): Promise<ReadonlyMap<string, string>> {
  const args = { dom: reference(id), cmd: QUERY, flags: 0 };
  const asked = calls.call(libvirt.domainMonitorCommand, args, { lane: "slow" });
  const found = await asked.catch(async (thrown: unknown) => {
    const { kind } = toSocleError(thrown);
    if (LASTING.has(kind)) return undefined;
    // Its QEMU may have ended while it was asked.
    if (kind === "internal" && (await hasEnded(clock, reads, id))) return undefined;
    throw thrown;
  });
  try {
    return filesOf(found?.result ?? "");
  } catch {
    return new Map();
  }
}

async function hasEnded(
  clock: Pick<Clock, "monotonicMs" | "sleep">,
  reads: Pick<DomainReads, "state">,
  id: string,
): Promise<boolean> {
  const untilMs = clock.monotonicMs() + SEEN_ENDED_WITHIN_MS;
  while (isActive(await reads.state(id))) {
    if (clock.monotonicMs() >= untilMs) return false;
    await clock.sleep(LOOK_EVERY_MS);
  }
  return true;
}

/** Throws for an answer in another form. */
function filesOf(result: string): ReadonlyMap<string, string> {
  const { return: blocks } = answer.parse(parseJson(result));
  return new Map(
    blocks.flatMap(({ qdev = "", inserted }) => {
      const names = qdev.split("/").flatMap((part) => deviceName("disk", part) ?? []);
      return inserted === undefined ? [] : names.map((name) => [name, inserted.file] as const);
    }),
  );
}
