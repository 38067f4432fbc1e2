import { toSocleError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/text/json.ts";
import * as z from "../../kernel/zod.ts";
import * as libvirt from "../../libvirt/index.ts";
import type { LibvirtCalls } from "./certainty.ts";
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

/**
 * The files that the QEMU of a running guest writes to, by the names of the disks; none of a guest that is off, and where libvirt
 * refuses to ask. libvirt's XML shows only what it has recorded. It changes nothing but a mark of libvirt on this
 * run of the guest, that its monitor was used (tainted: custom-monitor). Throws if there is no answer now.
 */
export async function filesInQemu(calls: LibvirtCalls, id: string): Promise<ReadonlyMap<string, string>> {
  const args = { dom: reference(id), cmd: QUERY, flags: 0 };
  const asked = calls.call(libvirt.domainMonitorCommand, args, { lane: "slow" });
  const found = await asked.catch((thrown: unknown) => {
    if (!LASTING.has(toSocleError(thrown).kind)) throw thrown;
  });
  try {
    return filesOf(found?.result ?? "");
  } catch {
    return new Map();
  }
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
