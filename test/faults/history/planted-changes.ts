import { effectRules, type PlantedBug } from "./plant.ts";

const atRest = "spec, definition and guest have the same devices at rest";

/** Bugs in changes of a VM's devices and spec. */
export const changeBugs: readonly PlantedBug[] = [
  {
    name: "volume-deleted-under-guest",
    what: "a detached disk's volume is deleted although the guest keeps the disk",
    edits: [
      {
        file: "vm/hypervisor/domain-devices.ts",
        find: "if (nowMs >= startMs + RELEASE_WITHIN_MS) throw keepsDevice(alias, refusal);",
        replace: "if (nowMs >= startMs + RELEASE_WITHIN_MS) return void keepsDevice(alias, refusal);",
      },
      {
        file: "vm/hypervisor/domain-devices.ts",
        find: "await this.release(id, alias, true);",
        replace: "",
      },
    ],
    rules: effectRules,
    seed: 2165,
  },
  {
    name: "still-defined",
    what: "a detached disk stays in the definition",
    edits: [
      {
        file: "vm/operations/detach-disk.ts",
        find: 'await step("change definition", () => domains.devices.undefine(vmId, diskAlias(disk)));',
        replace: "",
      },
    ],
    rules: [atRest],
    seed: 236,
  },
  {
    name: "nic-not-noted",
    what: "an attached NIC is missing in the spec",
    edits: [
      {
        file: "vm/operations/attach-nic.ts",
        find: "{ ...spec, nics: [...spec.nics, nic] };",
        replace: "spec;",
      },
    ],
    rules: [atRest],
    seed: 21,
  },
  {
    name: "medium-not-noted",
    what: "the spec keeps a drive's previous medium",
    edits: [
      {
        file: "vm/operations/change-media.ts",
        find: "write: (spec) => withMedium(spec, disk, medium),",
        replace: "write: (spec) => spec,",
      },
    ],
    rules: [atRest],
    seed: 21,
  },
  {
    name: "saved-again",
    what: "a suspension that was interrupted saves whatever runs after the restart",
    edits: [
      {
        file: "vm/operations/suspend.ts",
        find: "  if (resumed) {\n",
        replace: "  if (resumed && !isActive(before)) {\n",
      },
    ],
    rules: effectRules,
    seed: 357,
  },
  {
    name: "saved-and-failed",
    what: "a suspension whose end was interrupted fails although its memory is saved",
    edits: [
      {
        file: "vm/operations/suspend.ts",
        find: "if ((await isSaved(context, vmId)) !== true) {",
        replace: "if ((await isSaved(context, vmId)) !== undefined) {",
      },
    ],
    rules: ["an outcome is true"],
    seed: 2,
  },
  {
    name: "off-not-saved",
    what: "a suspension that was interrupted succeeds if the VM is off, also without saved memory",
    edits: [
      {
        file: "vm/operations/suspend.ts",
        find: "if ((await isSaved(context, vmId)) !== true) {",
        replace: "if (isActive(before)) {",
      },
    ],
    rules: ["an outcome is true"],
    seed: 2038,
  },
  {
    name: "discard-lies",
    what: "a discard succeeds that removes nothing",
    edits: [
      {
        file: "vm/operations/discard-saved-state.ts",
        find: "() => domains.savedStates.remove(vmId)",
        replace: "async () => undefined",
      },
      {
        file: "vm/operations/discard-saved-state.ts",
        find: "      await seen(context, vmId, (vm) => vm?.savedState !== true);\n",
        replace: "      void seen;\n",
      },
    ],
    rules: ["an outcome is true"],
    seed: 12,
  },
];
