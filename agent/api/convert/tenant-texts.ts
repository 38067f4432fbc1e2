import type { ErrorKind } from "../../kernel/errors.ts";

// The tables of tenant-errors.ts. test/unit/docs/tenant-reasons.test.ts holds them against the code.

/**
 * The reasons whose texts have only the caller's own words, objects of its tenant, names of pools and networks, and limits: no
 * error that they quote, no path. Every other reason has a fixed text for callers of one tenant.
 */
export const shownReasons: ReadonlySet<string> = new Set(
  `
  ADDRESS_IN_USE ADDRESS_NOT_ALLOWED ADDRESS_REQUIRED AGENT_STOPPING AUDIT_BUDGET_EXCEEDED AUDIT_BUSY BACKUP_ABANDONED
  BACKUP_BASE_UNKNOWN BACKUP_NOT_ENCRYPTED BACKUP_NOT_FOUND BACKUP_OPEN BACKUP_READ_BY_NBD BACKUP_UNSUPPORTED BLOCK_JOB_STALLED
  BOOT_DISK BOOT_NIC BREAK_GLASS_CANNOT_ACKNOWLEDGE BREAK_GLASS_FORBIDDEN BREAK_GLASS_NOT_LOCAL CANCELLED CAPACITY_TOO_SMALL
  CAPACITY_UNKNOWN CLAIM_EXISTS CONSOLE_IN_USE CONSOLE_TAKEN_OVER CONTROL_EPOCH_INVALID CONTROL_EPOCH_MISSING
  CONTROL_EPOCH_STALE CONTROL_EPOCH_TOO_FAR CPU_MODEL_UNUSABLE DEDICATED_CPUS_FIXED DEDICATED_CPUS_NOT_ALLOWED DEVICE_AMBIGUOUS
  DEVICE_ATTACHED DEVICE_NOT_ALLOWED DEVICE_NOT_ASSIGNABLE DEVICE_NOT_FOUND DISKS_NOT_DELETED DISKS_NOT_KEPT DISK_ENCRYPTED
  DISK_EXISTS DISK_HAS_SNAPSHOTS DISK_NOT_ATTACHED DISK_NOT_FOUND DISK_NOT_IN_BACKUP DISK_READ_ONLY DUMPS_NOT_CONFIGURED
  DUMP_CUT_SHORT DUMP_DENIED DUMP_NOT_ENCRYPTED DUMP_UNSUPPORTED EFFECT_UNDER_WAY ENCRYPTED_DISKS_KEPT ERASED_DISKS_KEPT
  ERASURE_CANCELLED ETAG_MISMATCH FIRST_MESSAGE_MISSING FORCE_REQUIRED GUEST_AGENT_BUSY GUEST_AGENT_NOT_ANSWERING
  GUEST_AGENT_NOT_CONFIGURED GUEST_AGENT_NOT_CONNECTED GUEST_ANSWER_TOO_LARGE GUEST_EXEC_NOT_ALLOWED GUEST_EXEC_RUNNING
  GUEST_FROZEN GUEST_OUTCOME_UNKNOWN GUEST_UNRESPONSIVE HOST_LACKS_TRAIT HUGE_PAGES_NOT_ALLOWED IMAGES_UNKNOWN
  IMAGE_CONVERSION_SLOW IMAGE_DENIED IMAGE_DIGEST_MISMATCH IMAGE_EXISTS IMAGE_FORMAT_MISMATCH IMAGE_IN_USE IMAGE_LENGTH_UNKNOWN
  IMAGE_NOT_FOUND IMAGE_POOL_UNSUITABLE IMAGE_SOURCE_DENIED IMAGE_SOURCE_FAILED IMAGE_TOO_LARGE IMAGE_UNSAFE
  IMPORT_INTERRUPTED INTERRUPTED INVALID_DURATION KEYS_MISSING LEASE_INVALID LIBVIRT_UNAVAILABLE MAC_IN_USE MAC_NOT_ALLOWED
  MERGE_CUT_SHORT MERGE_FAILED MOVE_CUT_SHORT MOVE_FAILED NBD_TLS_NOT_ALLOWED NBD_TLS_NOT_CONFIGURED NETWORK_INACTIVE
  NETWORK_NOT_ALLOWED NETWORK_NOT_FOUND NIC_EXISTS NIC_NOT_ATTACHED NIC_NOT_FOUND NOT_CANCELLABLE NOT_CDROM NO_CAPACITY
  NO_FREE_PORT NO_SUCH_CELL NO_SUCH_DEVICE OFFSET_INVALID OPERATION_DENIED OPERATION_ENDED OPERATION_NOT_FOUND
  OPERATION_SUPERSEDED OPERATION_UNSETTLED OUTCOME_MISSING PAGE_TOKEN_INVALID PERSON_METADATA_INVALID PERSON_MISSING
  PERSON_TOKEN_EXPIRED PERSON_TOKEN_INVALID PLACEMENT_EPOCH_STALE POOL_FULL POOL_INACTIVE POOL_NOT_FOUND QUEUE_FULL
  RATE_LIMITED REPLIES_NOT_READ REQUEST_ID_INVALID REQUEST_ID_REUSED REQUEST_INVALID REQUEST_TOO_LARGE RESERVATION_ENDED
  RESERVATION_FOREIGN RESERVATION_MISMATCH RESERVATION_NOT_FOUND RESTORE_DIGEST_MISMATCH RESTORE_SIZE_INVALID
  RESTORE_UNSUPPORTED ROLE_DENIED SAVED_STATE_NOT_ENCRYPTED SCREENSHOT_NOT_PNG SCREENSHOT_TOO_LARGE SCREENS_EXHAUSTED
  SCREEN_EXPIRED SCREEN_IDLE SCREEN_NOT_CONFIGURED SCREEN_TICKETS_EXHAUSTED SCREEN_TICKET_INVALID SEED_UNREADABLE
  SERVICE_UNKNOWN SNAPSHOT_BEING_DELETED SNAPSHOT_CUT_SHORT SNAPSHOT_DISKS_DIFFER SNAPSHOT_EXISTS SNAPSHOT_HAS_BRANCHES
  SNAPSHOT_LIMIT_REACHED SNAPSHOT_MEMORY_GROWN SNAPSHOT_MEMORY_LEFT SNAPSHOT_MEMORY_LOST SNAPSHOT_MEMORY_NOT_ALLOWED
  SNAPSHOT_MEMORY_NOT_CONFIGURED SNAPSHOT_MEMORY_NOT_ENCRYPTED SNAPSHOT_MEMORY_NO_SPACE SNAPSHOT_MEMORY_UNREACHABLE
  SNAPSHOT_NOT_FOUND SNAPSHOT_NOT_TAKEN SNAPSHOT_UNSUPPORTED SNAPSHOT_VM_DIFFERS SNAPSHOT_WITHOUT_MEMORY SOCKET_ONLY
  SPEC_INVALID SPOOFING_NOT_ALLOWED SUSPEND_CUT_SHORT SUSPEND_NOT_ALLOWED TENANT_DENIED TENANT_QUOTA_EXCEEDED TOO_MANY_CALLS
  TOO_MANY_CONNECTIONS TOO_MANY_OPERATIONS TOO_MANY_RESERVATIONS TOO_MANY_VOLUMES TRANSFER_TOO_SLOW TTL_INVALID UNKNOWN_VALUE UPDATE_EMPTY
  UPDATE_MASK_INVALID UPLOAD_INCOMPLETE VM_CHANGED VM_CRASHED VM_EXISTS VM_HAS_HOST_DEVICES VM_HAS_LAUNCH_SECURITY
  VM_HAS_OLD_SEEDS VM_HAS_SAVED_STATE VM_HAS_SNAPSHOTS VM_HAS_STARTED VM_MISSING VM_NOT_FOUND VM_NOT_RESCUED VM_REMOVED
  VM_REPLACED VM_RESCUED VM_RESTORE_INCOMPLETE VM_RUNNING VM_STATE_CONFLICT VM_UNMANAGED VOLUME_DENIED VOLUME_EXISTS
  VOLUME_HAS_NO_PATH VOLUME_IN_USE VOLUME_NOT_FOUND VOLUME_NOT_OWN VOLUME_TOO_SMALL WATCH_OVERFLOW
  `
    .trim()
    .split(/\s+/),
);

/** The keys of metadata that a caller of one tenant gets, beside free_*; of `users`, its own. */
export const shownMetadata: ReadonlySet<string> = new Set(
  `
  address availableBytes backup_id bridge call_class capacity_bytes cause cells control_epoch device differences dimension disk
  disks fields grown_bytes image_id limit mac memory_bytes method name network nic operation_id operation_kind page_size_bytes
  pid pool requested reservation_id role sha256 snapshot state tenant trait used users vcpus vm_id volume wanted
  `
    .trim()
    .split(/\s+/),
);

/** What failed and what to do, where more can be said than textOfKind does. */
export const textOfReason: Readonly<Record<string, string>> = {
  BACKING_OUTSIDE_POOL: "the volume is an overlay of a file outside its pool: name another volume",
  BACKUP_READ_FAILED:
    "the VM's QEMU does not serve the disk: read on from the last offset, and if it persists begin another backup",
  DISKS_REPLACED: "the VM uses other files than its spec names, and nothing was done: ask the provider",
  DISK_BUSY: "a job works on the disk or the VM: wait for its end, then retry",
  DUMP_NO_SPACE: "the host has no room for the VM's memory now: ask the provider",
  EFFECT_NOT_OBSERVED: "the change had no effect, or libvirt does not show it: read the VM, then retry",
  GUEST_DID_NOT_STOP: "the guest did not stop in time and still runs: stop it with force to power it off",
  GUEST_KEEPS_DEVICE:
    "the guest did not release the device in time, and the VM's definition is unchanged: retry, or stop the VM first",
  GUEST_KEEPS_MEDIUM: "the guest locks the drive's tray: unmount the medium in the guest, or set force",
  GUEST_KEEPS_MEMORY:
    "the guest does not follow the change of its memory, which was undone: retry, or stop the VM first",
  GUEST_KEEPS_VCPUS:
    "the guest did not release vCPUs in time, and the VM's definition is unchanged: retry, or stop the VM first",
  GUEST_REFUSED: "the guest's agent refused, or answered in another form: see its log in the guest",
  HOST_CORDONED: "this host accepts no new VMs: place the VM on another host",
  IMAGE_IN_USE:
    "the image is in use, and not by your own VMs alone: delete your VMs over it (users), and ask the provider about the others",
  KVM_UNAVAILABLE: "KVM does not work on this host now: place the VM on another host",
  LIBVIRT_OUTCOME_UNKNOWN:
    "the outcome is not known while libvirt does not answer: send the same request_id again, or read the operation",
  MERGE_IN_DOUBT:
    "it is not known which file of the disk is newer after a merge, and both stay: ask the provider before the VM starts",
  MOVE_IN_DOUBT:
    "it is not known which volume of the disk is newer after a move, and both stay: ask the provider before the VM starts",
  POOL_NOT_SYNCED:
    "the pool's disk did not confirm the bytes in time: retry, and if it persists ask the provider",
  POOL_BUSY: "the storage pool is too busy: retry",
  RAW_FILE_REFUSED:
    "the volume is, or would be, a raw file, in which a guest could forge an image's header: use the format qcow2; ask the provider to convert a volume that exists, and move a VM's own disk (MoveDisk), which converts it",
  RECORD_TOO_LARGE: "the request does not fit into a record of the host: make it smaller",
  SAVED_STATE_UNUSABLE: "the VM cannot continue from its saved state: DiscardSavedState, then start it",
  SCREEN_UNREACHABLE: "the VM's screen cannot be opened now: retry",
  SETTLED_BY_PERSON: "the provider settled the operation as not done",
  SNAPSHOT_MEMORY_NOT_RESTORED:
    "the memory of the snapshot was not restored: read the VM, then revert again, or with discard_memory",
  SPEC_UNREADABLE:
    "the VM cannot be read: its tenant cannot be verified, so only callers for all tenants can repair, stop or delete it",
  STORAGE_UNIDENTIFIED: "whether another VM uses the volume is not known now: retry",
  STORAGE_UNRESPONSIVE: "the VM's volumes could not be checked, so it is not started: retry",
  SWITCH_IN_DOUBT:
    "the guest may have written to files that are not used now, and they stay: ask the provider",
  SWITCH_NOT_SHOWN: "the guest may write to another file than libvirt shows: wait, and do not start the VM",
  SWITCH_UNRECORDED: "libvirt lost a switch of the guest's disk to another file: stop the VM and start it",
  VM_JOB_STUCK: "libvirt holds an empty job of the VM: ask the provider",
  VM_NOT_STARTED: "the VM has the disks of the snapshot, but did not start: start it",
  VOLUME_IN_USE:
    "the volume or a disk of the VM is in use, and not by your own VMs alone: name another volume, or ask the provider",
  VOLUME_KEY_MISMATCH: "the host has another volume key than the disk needs: ask the provider",
  VOLUME_KEY_MISSING: "the host has no volume key: leave encryption out, or place the VM on another host",
  VOLUME_SUSPICIOUS:
    "a volume begins as an image of another format than its name means, and nothing opens it: name another volume, or ask the provider",
  VOLUME_UNSAFE:
    "a volume refers to something outside itself, or is no plain file: name another, or convert it (qemu-img convert)",
  VOLUME_UNREADABLE: "a volume of the pool cannot be read now: retry",
};

/** For each other reason. */
const textOfKind: Readonly<Record<ErrorKind, string>> = {
  not_found: "the object does not exist on this host",
  already_exists: "the object exists already: choose another name",
  conflict: "the present state does not allow the request: read the object, then decide again",
  invalid: "this host cannot accept a value of the request: correct it",
  denied: "this host does not allow the request",
  unauthenticated: "the credentials are missing or not valid",
  unavailable: "the host cannot do this now: retry with the same request_id",
  timeout: "the host did not finish in time: retry with the same request_id",
  outcome_unknown: "the outcome is not known yet: send the same request_id again, or read the operation",
  exhausted: "the host has no room for this now: retry later, or place it elsewhere",
  out_of_range: "the position is not available: list again",
  cancelled: "the request was cancelled",
  unsupported: "this host does not support the request",
  internal: "the host failed: ask the provider",
};

/** The fixed text of an error. */
export const fixedText = (reason: string, kind: string): string =>
  textOfReason[reason] ?? textOfKind[Object.hasOwn(textOfKind, kind) ? (kind as ErrorKind) : "internal"];
