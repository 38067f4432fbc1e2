import type { CampaignBug } from "./planted-run.ts";

/** Bugs that the campaign `tenants` must find: each shows another tenant's thing in the answer of one method. */
export const tenantsBugs: readonly CampaignBug[] = [
  {
    what: "the message for another tenant's VM differs",
    edit: {
      file: "api/services/tenancy.ts",
      find: '"VM_NOT_FOUND", `there is no VM ${idOrName} on this host`);',
      replace: '"VM_NOT_FOUND", `there is no VM ${idOrName} of yours`);',
    },
    found: /GetGuestInfo: it answers .*NAME of yours.* to a name that does not exist/,
  },
  {
    what: "the owner of a base volume is checked after its look-up",
    edit: {
      file: "vm/operations/attach-disk.ts",
      find: "    requireFree(newDevices(vm, asked));\n",
      replace: "",
    },
    found: /AttachDisk: it answers .*VOLUME_DENIED.*, and .*VOLUME_NOT_FOUND/,
  },
  {
    what: "every tenant reads the snapshots of a VM",
    edit: {
      file: "api/services/snapshot-service.ts",
      find: "const { snapshots = noSnapshots } = readableVm(of(caller).vmView, vm);",
      replace:
        "const { snapshots = noSnapshots } = readableVm(of({ ...caller, tenant: undefined }).vmView, vm);",
    },
    found: /ListSnapshots: it answers \["OK"/,
  },
  {
    what: "a list of backups has those of all tenants",
    edit: {
      file: "api/services/backup-service.ts",
      find: 'name === "" ? of(caller).vmView.all()',
      replace: 'name === "" ? dependencies.vmView.all()',
    },
    found: /ListBackups: it shows/,
  },
  {
    what: "an image is found by its id for every tenant",
    edit: {
      file: "vm/images/image-store.ts",
      find: 'if (byId !== undefined && (tenant === "" || isVisibleTo(tenant, byId))) return byId;',
      replace: "if (byId !== undefined) return byId;",
    },
    found: /GetImage: it answers \["OK"/,
  },
  {
    what: "a volume is enlarged for every tenant",
    edit: {
      file: "vm/operations/volume-free.ts",
      find: "if (onlyTenant !== undefined && tenant !== onlyTenant) throw volumeNotFound(volume);",
      replace: "",
    },
    found: /ResizeVolume: it answers \["OK"/,
  },
  {
    what: "an operation is found by its id for every tenant",
    edit: {
      file: "api/services/tenancy.ts",
      find: "    return notFound(id, operations.failure);\n",
      replace: "    return id;\n",
    },
    found: /GetOperation: it answers \["OK"/,
  },
  {
    what: "an auditor of a tenant reads all entries",
    edit: {
      file: "api/services/audit-service.ts",
      find: "return { ...request, tenant };",
      replace: "return request;",
    },
    found: /ListAuditEntries: it shows an act of victim/,
  },
];
