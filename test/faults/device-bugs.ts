import type { CampaignBug } from "./planted-run.ts";

/** Bugs that the campaign `devices` must find: each shows in a change of its own. */
export const deviceBugs: readonly CampaignBug[] = [
  {
    what: "a detached disk stays in the definition",
    edit: {
      file: "vm/operations/detach-disk.ts",
      find: 'await step("change definition", () => domains.devices.undefine(vmId, diskAlias(disk)));',
      replace: "",
    },
    found: /DETACH has settled, and the definition has \[boot cd d1\], the spec \[boot cd\]/,
  },
  {
    what: "a disk grows without its spec",
    edit: {
      file: "vm/operations/resize-disk.ts",
      find: "disk.name === name && disk.source.kind",
      replace: "disk.name !== name && disk.source.kind",
    },
    found: /RESIZE has settled, and the volume of d1 has 2097152 bytes, the spec 1048576/,
  },
  {
    what: "a medium changes without its spec",
    edit: {
      file: "vm/operations/change-media.ts",
      find: "write: (spec) => withMedium(spec, disk, medium),",
      replace: "write: (spec) => spec,",
    },
    found: /INSERT has settled, and the media of spec, definition and guest: -; bootsector\.img/,
  },
  {
    what: "a moved disk leaves its old volume",
    edit: {
      file: "vm/operations/move-disk.ts",
      find: "for (const extra of leftoversOf(snapshots, disk)) await removeUnused(context, vmId, extra);",
      replace: "",
    },
    found:
      /MOVE has settled, and the pools of spec, files, definition and guest: d1=other; d1=images d1=other;/,
  },
  {
    what: "a size changes without the definition",
    edit: {
      file: "vm/operations/update-vm.ts",
      find: "await step(DEFINITION, () => redefine(context, vmId, asked, parts), 0.2);",
      replace: "",
    },
    found: /the spec has \{"vcpus":2,"memoryBytes":50331648\}, libvirt \{"vcpus":1,"memoryBytes":33554432\}/,
  },
  {
    what: "a NIC loses its link without its spec",
    edit: {
      file: "vm/operations/update-nic.ts",
      find: "write: (spec) => withValues(spec, nic, intent),",
      replace: "write: (spec) => spec,",
    },
    found: /LINK has settled, and the NICs of spec, definition and guest: n1=up; n1=down/,
  },
];

/** As those, of a guest that grows and shrinks. */
export const growthBugs: readonly CampaignBug[] = [
  {
    what: "a guest can take more than it was given",
    edit: {
      file: "vm/model/memory-growth.ts",
      find: "sizeBytes: left, guestCell: 0",
      replace: "sizeBytes: 2 * left, guestCell: 0",
    },
    found: /GROW, .*the guest can take 402653184 bytes, the spec has 268435456/,
  },
  {
    what: "capacity counts what was asked for, not what a guest can take",
    edit: {
      file: "vm/observation/vm-from-domain.ts",
      find: "memoryBytes: document.memoryBytes,",
      replace: "memoryBytes: own.spec?.memoryBytes ?? document.memoryBytes,",
    },
    // The guest of the bug above can take more.
    found:
      /GROW, .*the ledger has \{"vcpus":1,"memoryBytes":268435456\}, not \{"vcpus":1,"memoryBytes":402653184\}/,
  },
];
