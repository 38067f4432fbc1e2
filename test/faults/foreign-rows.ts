/** What a tenant has, by the names under which a request could name it. */
export interface Belongings {
  readonly vm: readonly string[];
  readonly image: readonly string[];
  readonly snapshot: readonly string[];
  readonly backup: readonly string[];
  readonly operation: readonly string[];
  readonly volume: readonly string[];
}

export type Thing = keyof Belongings;

/** What the caller of another tenant has. */
export interface Own {
  readonly vm: string;
  readonly tenant: string;
}

/** A request with the name of another tenant's thing. */
export interface Naming {
  readonly thing: Thing;
  readonly request: (name: string, own: Own) => object;
  /** How it is refused, if not as a thing that does not exist. */
  readonly reason?: string;
}

/** What a method of the contract could tell a caller of one tenant about another tenant's things. */
export type Row =
  | { readonly names: readonly Naming[] }
  /** The answer holds all that the caller may see. */
  | { readonly lists: object; readonly names?: readonly Naming[]; readonly isOwnActs?: true }
  | { readonly noneBecause: string };

const MIB = 2 ** 20;
const POOL = "images";

const vm = (more: object = {}): Naming => ({ thing: "vm", request: (name) => ({ vm: name, ...more }) });
const ofVm = (more: object = {}): Row => ({ names: [vm(more)] });

/** A thing of another tenant's VM, named with the caller's own VM. */
const beside = (thing: Thing, request: (name: string) => object): Naming => ({
  thing,
  request: (name, own) => ({ vm: own.vm, ...request(name) }),
});

const image = (request: (name: string) => object): Naming => beside("image", request);
const volume = (request: (volume: { pool: string; volume: string }) => object): Naming =>
  beside("volume", (name) => request({ pool: POOL, volume: name }));

const operation = (more: object = {}): Row => ({
  names: [{ thing: "operation", request: (operationId) => ({ operationId, ...more }) }],
});

const snapshotOf = (more: object = {}): Row => ({
  names: [
    vm({ snapshot: "any", ...more }),
    beside("snapshot", (snapshot) => ({ snapshot, validateOnly: true, ...more })),
  ],
});

const backupOf = (more: object = {}): Row => ({
  names: [vm({ backupId: "any", ...more }), beside("backup", (backupId) => ({ backupId, ...more }))],
});

const poolVolume = (more: object = {}): Row => ({
  names: [{ thing: "volume", request: (name) => ({ pool: POOL, volume: name, ...more }) }],
});

const imageOf: Row = { names: [{ thing: "image", request: (name) => ({ image: name }) }] };
const newDisk = { name: "spy", newVolume: { pool: POOL, capacityBytes: MIB } };
const seconds = { seconds: 1, nanos: 0 };

const specOf = (tenant: string, more: object): object => ({
  leaveStopped: true,
  validateOnly: true,
  spec: { name: `${tenant}-spy`, tenant, vcpus: 1, memoryBytes: 32 * MIB, ...more },
});

/** A VM of the caller's own with another tenant's image or volume. */
const creation = (thing: Thing, more: (name: string) => object): Naming => ({
  thing,
  request: (name, { tenant }) => specOf(tenant, more(name)),
});

/**
 * The methods that callers of one tenant may call, by their names. A unit test compares the rows with the contract: each method,
 * and each field that could name a thing.
 */
export const foreignRows: Readonly<Record<string, Row>> = {
  "VmService/CreateVm": {
    names: [
      creation("image", (name) => ({ disks: [{ name: "d", newVolume: { pool: POOL, image: name } }] })),
      creation("image", (name) => ({ disks: [{ name: "d", cdrom: { image: name } }] })),
      creation("volume", (name) => ({ disks: [{ name: "d", volume: { pool: POOL, volume: name } }] })),
      creation("volume", (name) => ({ disks: [{ name: "d", newVolume: { pool: POOL, baseVolume: name } }] })),
      creation("volume", (name) => ({ kernelBoot: { kernel: { pool: POOL, volume: name } } })),
    ],
  },
  "VmService/GetVm": ofVm(),
  "VmService/ListVms": { lists: { pageSize: 1000 } },
  "VmService/WatchVms": { lists: {} },
  "VmService/StartVm": ofVm(),
  "VmService/StopVm": ofVm({ force: true }),
  "VmService/RebootVm": ofVm({ force: true }),
  "VmService/PauseVm": ofVm(),
  "VmService/ResumeVm": ofVm(),
  "VmService/DeleteVm": ofVm({ force: true }),
  "VmService/UpdateVm": ofVm({ spec: { labels: { stolen: "yes" } }, updateMask: { paths: ["labels"] } }),
  "VmService/AttachDisk": {
    names: [
      vm({ disk: newDisk }),
      image((name) => ({
        disk: { name: "spy", newVolume: { pool: POOL, image: name } },
        validateOnly: true,
      })),
      volume((named) => ({ disk: { name: "spy", volume: named }, validateOnly: true })),
      volume((named) => ({ disk: { name: "spy", volume: named, readOnly: true }, validateOnly: true })),
      volume(({ volume: baseVolume }) => ({
        disk: { name: "spy", newVolume: { pool: POOL, baseVolume } },
        validateOnly: true,
      })),
    ],
  },
  "VmService/DetachDisk": ofVm({ disk: "data", deleteVolume: true }),
  "VmService/ResizeDisk": ofVm({ disk: "data", capacityBytes: 4 * MIB }),
  "VmService/UpdateDisk": ofVm({ disk: "data", limits: { writeIops: 1 } }),
  "VmService/AttachNic": ofVm({ nic: { name: "spy", network: "default" } }),
  "VmService/DetachNic": ofVm({ nic: "net" }),
  "VmService/UpdateNic": ofVm({ nic: "net", linkState: "NIC_LINK_DOWN" }),
  "VmService/AttachPciDevice": ofVm({ device: "0000:3b:00.0" }),
  "VmService/DetachPciDevice": ofVm({ device: "0000:3b:00.0" }),
  "VmService/SuspendVm": ofVm(),
  "VmService/DiscardSavedState": ofVm(),
  "VmService/DumpMemory": ofVm({ volume: { pool: POOL, name: "spy" } }),
  "VmService/InjectNmi": ofVm(),
  "VmService/Console": ofVm({ force: true }),
  "VmService/ChangeMedia": {
    names: [
      vm({ disk: "cd" }),
      image((name) => ({ disk: "cd", image: name, validateOnly: true })),
      volume((named) => ({ disk: "cd", volume: named, validateOnly: true })),
    ],
  },
  "VmService/MoveDisk": ofVm({ disk: "data", pool: POOL }),
  "VmService/RescueVm": {
    names: [
      vm({ volume: { pool: POOL, volume: "bootsector.img" }, force: true }),
      image((name) => ({ image: name, force: true, validateOnly: true })),
      volume((named) => ({ volume: named, force: true, validateOnly: true })),
    ],
  },
  "VmService/UnrescueVm": ofVm({ force: true }),
  "VmService/ChangeSeed": ofVm({
    cloudInit: { userData: "#cloud-config\n" },
    updateMask: { paths: ["user_data"] },
  }),
  "ImageService/ImportImage": {
    names: [
      {
        thing: "volume",
        request: (name) => ({ name: "spy", pool: POOL, volume: { pool: POOL, volume: name } }),
      },
    ],
  },
  "ImageService/UploadImage": { noneBecause: "it names only a new image of the caller's own tenant" },
  "ImageService/GetImage": imageOf,
  "ImageService/ListImages": { lists: {} },
  "ImageService/DeleteImage": imageOf,
  "SnapshotService/CreateSnapshot": ofVm({ name: "spy", memory: true }),
  "SnapshotService/GetSnapshot": snapshotOf(),
  "SnapshotService/ListSnapshots": ofVm(),
  "SnapshotService/DeleteSnapshot": snapshotOf(),
  "SnapshotService/RevertSnapshot": snapshotOf({ force: true, discardMemory: true }),
  "ScreenService/CreateScreenTicket": ofVm(),
  "ScreenService/OpenScreen": ofVm({ ticket: "any" }),
  "ScreenService/GetScreenshot": ofVm(),
  "BackupService/BeginBackup": {
    names: [
      vm(),
      {
        ...beside("backup", (baseBackup) => ({ baseBackup, validateOnly: true })),
        reason: "BACKUP_BASE_UNKNOWN",
      },
    ],
  },
  "BackupService/GetBackup": backupOf(),
  "BackupService/ListBackups": { lists: {}, names: [vm()] },
  "BackupService/RenewBackup": backupOf({ leaseSeconds: 600 }),
  "BackupService/ListExtents": backupOf({ disk: "data" }),
  "BackupService/ReadExtents": backupOf({ disk: "data" }),
  "BackupService/FinishBackup": backupOf({ success: true }),
  "BackupService/RestoreDisk": ofVm({ disk: "data", sha256: "0".repeat(64), sizeBytes: 512 }),
  "GuestService/GetGuestInfo": ofVm(),
  "GuestService/SetGuestPassword": ofVm({ user: "root", password: "stolen" }),
  "GuestService/SetGuestSshKeys": ofVm({ user: "root", keys: ["ssh-ed25519 AAAA spy"] }),
  "GuestService/TrimGuest": ofVm(),
  "GuestService/SyncGuestTime": ofVm(),
  "GuestService/FreezeFilesystems": ofVm({ timeout: seconds }),
  "GuestService/ThawFilesystems": ofVm(),
  "GuestService/ExecInGuest": ofVm({ path: "/bin/true" }),
  "OperationService/GetOperation": operation(),
  "OperationService/ListOperations": {
    lists: { pageSize: 1000 },
    names: [{ thing: "vm", request: (vmId) => ({ vmId }) }],
  },
  "OperationService/WaitOperation": operation({ timeout: seconds }),
  "OperationService/WatchOperations": operation(),
  "OperationService/CancelOperation": operation(),
  "StorageService/ListPools": { lists: {} },
  "StorageService/ListVolumes": { lists: { pageSize: 250 } },
  "StorageService/CreateVolume": { noneBecause: "it names only a new volume of the caller's own tenant" },
  "StorageService/ResizeVolume": poolVolume({ capacityBytes: 2 * MIB }),
  "StorageService/DeleteVolume": poolVolume(),
  "NetworkService/ListNetworks": { lists: {} },
  "AuditService/ListAuditEntries": {
    lists: { pageSize: 250 },
    // Its own refused calls name what it named.
    isOwnActs: true,
  },
};
