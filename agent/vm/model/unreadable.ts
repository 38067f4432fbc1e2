import { SocleError } from "../../kernel/errors.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import type { SampledVms, Vm } from "./vm.ts";

const MOST_NAMES = 5;

/** Reports after each round which VMs cannot be read, as a text; undefined if all can be. */
export function unreadableWatch(
  table: Pick<SampledVms, "all" | "rounds">,
  report: (problem: string | undefined) => void,
): Service {
  return {
    name: "unreadable VMs",
    async run(signal, ready) {
      const rounds = table.rounds(signal);
      ready();
      for await (const _ of rounds) report(problemOf(table.all()));
    },
  };
}

function problemOf(vms: readonly Vm[]): string | undefined {
  const unreadable = vms.filter((vm) => vm.unreadable !== undefined);
  if (unreadable.length === 0) return undefined;
  const named = unreadable.slice(0, MOST_NAMES).map((vm) => `${vm.name} (${vm.unreadable ?? ""})`);
  const more = unreadable.length > named.length ? ` and ${unreadable.length - named.length} more` : "";
  return (
    `${unreadable.length} cannot be read, are counted at libvirt's size and can only be stopped or deleted: ` +
    `${named.join(", ")}${more}; repair the metadata (virsh dumpxml, virsh metadata)`
  );
}

/** A managed VM without a valid spec, so that its tenant is unknown. */
export const hasNoSpec = ({ managed, spec, unreadable }: Vm): boolean =>
  managed && spec === undefined && unreadable !== undefined;

/** For a caller of the tenant that the metadata names. */
export const ASK_PROVIDER =
  "its tenant cannot be verified, so only callers for all tenants can repair, stop or delete it";

/** For a delete that would include the disks. */
export const KEEP_DISKS = "its own disks are not known: delete it with keep_disks";

/** Throws `conflict` SPEC_UNREADABLE. */
export function requireReadable(
  { id, name, unreadable }: Vm,
  advice = "only stop and delete are possible until its metadata is repaired (virsh dumpxml, virsh metadata)",
): void {
  if (unreadable === undefined) return;
  const message = `VM ${name} cannot be read (${unreadable}): ${advice}`;
  throw new SocleError("conflict", "SPEC_UNREADABLE", message, { details: { metadata: { vm_id: id } } });
}
