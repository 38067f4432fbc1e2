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

interface Block {
  readonly disk: string;
  /** Undefined: a drive without a medium. */
  readonly file: string | undefined;
}

type Asked = [
  calls: LibvirtCalls,
  clock: Pick<Clock, "monotonicMs" | "sleep">,
  reads: Pick<DomainReads, "state">,
  id: string,
];

/**
 * The files that the QEMU of a running guest writes to, by the names of the disks; none of a guest that is off, and where libvirt
 * refuses to ask. libvirt's XML shows only what it has recorded. It changes nothing but a mark of libvirt on this
 * run of the guest, that its monitor was used (tainted: custom-monitor). Throws if there is no answer now.
 */
export async function filesInQemu(...asked: Asked): Promise<ReadonlyMap<string, string>> {
  const found = await blocksInQemu(...asked);
  return new Map(found.flatMap(({ disk, file }) => (file === undefined ? [] : [[disk, file] as const])));
}

/** The drives without a medium in the QEMU of a running guest, by their names; as `filesInQemu`. */
export async function emptyInQemu(...asked: Asked): Promise<ReadonlySet<string>> {
  const found = await blocksInQemu(...asked);
  return new Set(found.flatMap(({ disk, file }) => (file === undefined ? [disk] : [])));
}

async function blocksInQemu(...[calls, clock, reads, id]: Asked): Promise<readonly Block[]> {
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
    return blocksOf(found?.result ?? "");
  } catch {
    return [];
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
function blocksOf(result: string): readonly Block[] {
  const { return: blocks } = answer.parse(parseJson(result));
  return blocks.flatMap(({ qdev = "", inserted }) => {
    const names = qdev.split("/").flatMap((part) => deviceName("disk", part) ?? []);
    return names.map((disk) => ({ disk, file: inserted?.file }));
  });
}
