import { LibvirtError, type LibvirtErrorKind } from "../internal/errors.ts";
import type { Procedure } from "./procedure.ts";
import { int, optional, string, struct, uuid, type Value } from "./xdr.ts";

const text = optional(string());

/** virNetMessageError of libvirt's virnetprotocol.x: the body of a reply whose status is "error". */
export const remoteError = struct({
  code: int,
  domain: int,
  message: text,
  level: int,
  dom: optional(struct({ name: string(), uuid, id: int })),
  str1: text,
  str2: text,
  str3: text,
  int1: int,
  int2: int,
  net: optional(struct({ name: string(), uuid })),
});

export type RemoteError = Value<typeof remoteError>;

const SYSTEM_ERROR = 38;

/** Numbers of virErrorNumber with a kind of their own. The reason is `LIBVIRT_` and the name. */
const codes: Readonly<Record<number, readonly [LibvirtErrorKind, string]>> = {
  1: ["internal", "INTERNAL_ERROR"],
  2: ["exhausted", "NO_MEMORY"],
  3: ["unsupported", "NO_SUPPORT"],
  5: ["unavailable", "NO_CONNECT"],
  7: ["invalid", "INVALID_DOMAIN"],
  8: ["invalid", "INVALID_ARG"],
  9: ["internal", "OPERATION_FAILED"],
  16: ["invalid", "OS_TYPE"],
  17: ["invalid", "NO_KERNEL"],
  18: ["invalid", "NO_ROOT"],
  19: ["invalid", "NO_SOURCE"],
  20: ["invalid", "NO_TARGET"],
  21: ["invalid", "NO_NAME"],
  22: ["invalid", "NO_OS"],
  23: ["invalid", "NO_DEVICE"],
  27: ["invalid", "XML_ERROR"],
  28: ["already_exists", "DOM_EXIST"],
  29: ["denied", "OPERATION_DENIED"],
  35: ["invalid", "XML_DETAIL"],
  36: ["invalid", "INVALID_NETWORK"],
  37: ["already_exists", "NETWORK_EXIST"],
  38: ["internal", "SYSTEM_ERROR"],
  // A daemon's reply to a procedure that is newer than itself.
  39: ["unsupported", "RPC"],
  42: ["not_found", "NO_DOMAIN"],
  43: ["not_found", "NO_NETWORK"],
  44: ["invalid", "INVALID_MAC"],
  45: ["denied", "AUTH_FAILED"],
  46: ["invalid", "INVALID_STORAGE_POOL"],
  47: ["invalid", "INVALID_STORAGE_VOL"],
  49: ["not_found", "NO_STORAGE_POOL"],
  50: ["not_found", "NO_STORAGE_VOL"],
  52: ["invalid", "INVALID_NODE_DEVICE"],
  53: ["not_found", "NO_NODE_DEVICE"],
  54: ["not_found", "NO_SECURITY_MODEL"],
  55: ["conflict", "OPERATION_INVALID"],
  57: ["not_found", "NO_INTERFACE"],
  58: ["invalid", "INVALID_INTERFACE"],
  59: ["conflict", "MULTIPLE_INTERFACES"],
  61: ["invalid", "INVALID_NWFILTER"],
  62: ["not_found", "NO_NWFILTER"],
  65: ["invalid", "INVALID_SECRET"],
  66: ["not_found", "NO_SECRET"],
  67: ["invalid", "CONFIG_UNSUPPORTED"],
  68: ["timeout", "OPERATION_TIMEOUT"],
  69: ["internal", "MIGRATE_PERSIST_FAILED"],
  70: ["internal", "HOOK_SCRIPT_FAILED"],
  71: ["invalid", "INVALID_DOMAIN_SNAPSHOT"],
  72: ["not_found", "NO_DOMAIN_SNAPSHOT"],
  73: ["invalid", "INVALID_STREAM"],
  74: ["unsupported", "ARGUMENT_UNSUPPORTED"],
  75: ["invalid", "STORAGE_PROBE_FAILED"],
  76: ["conflict", "STORAGE_POOL_BUILT"],
  77: ["conflict", "SNAPSHOT_REVERT_RISKY"],
  78: ["cancelled", "OPERATION_ABORTED"],
  79: ["denied", "AUTH_CANCELLED"],
  80: ["not_found", "NO_DOMAIN_METADATA"],
  81: ["conflict", "MIGRATE_UNSAFE"],
  82: ["out_of_range", "OVERFLOW"],
  83: ["conflict", "BLOCK_COPY_ACTIVE"],
  84: ["unsupported", "OPERATION_UNSUPPORTED"],
  86: ["unavailable", "AGENT_UNRESPONSIVE"],
  87: ["conflict", "RESOURCE_BUSY"],
  88: ["denied", "ACCESS_DENIED"],
  89: ["unavailable", "DBUS_SERVICE"],
  90: ["already_exists", "STORAGE_VOL_EXIST"],
  91: ["unsupported", "CPU_INCOMPATIBLE"],
  92: ["invalid", "XML_INVALID_SCHEMA"],
  93: ["internal", "MIGRATE_FINISH_OK"],
  94: ["denied", "AUTH_UNAVAILABLE"],
  97: ["unavailable", "AGENT_UNSYNCED"],
  99: ["not_found", "DEVICE_MISSING"],
  100: ["invalid", "INVALID_NWFILTER_BINDING"],
  101: ["not_found", "NO_NWFILTER_BINDING"],
  102: ["invalid", "INVALID_DOMAIN_CHECKPOINT"],
  103: ["not_found", "NO_DOMAIN_CHECKPOINT"],
  104: ["not_found", "NO_DOMAIN_BACKUP"],
  105: ["invalid", "INVALID_NETWORK_PORT"],
  106: ["already_exists", "NETWORK_PORT_EXIST"],
  107: ["not_found", "NO_NETWORK_PORT"],
  108: ["not_found", "NO_HOSTNAME"],
  109: ["conflict", "CHECKPOINT_INCONSISTENT"],
  110: ["conflict", "MULTIPLE_DOMAINS"],
  111: ["not_found", "NO_NETWORK_METADATA"],
  112: ["timeout", "AGENT_COMMAND_TIMEOUT"],
  113: ["internal", "AGENT_COMMAND_FAILED"],
};

/** A system error has the errno of Linux in `int1`. */
const errnos: Readonly<Record<number, readonly [LibvirtErrorKind, string]>> = {
  12: ["exhausted", "NO_MEMORY"],
  17: ["already_exists", "FILE_EXISTS"],
  28: ["exhausted", "NO_SPACE"],
  110: ["timeout", "SYSTEM_TIMEOUT"],
  122: ["exhausted", "NO_SPACE"],
};

/** The error of a refused call of `procedure`. */
export function libvirtError(error: RemoteError, procedure: string): LibvirtError {
  const known = (error.code === SYSTEM_ERROR ? errnos[error.int1] : undefined) ?? codes[error.code];
  const [kind, name] = known ?? ["internal", `ERROR_${error.code}`];
  // QEMU's messages may span several lines.
  const said = (error.message ?? `error ${error.code}`).trim().replaceAll(/\s*\n\s*/g, " ");
  const message = `libvirt answered ${procedure} with: ${said}`;
  const metadata = { libvirtCode: String(error.code), libvirtDomain: String(error.domain), procedure };
  const { code, domain } = error;
  return new LibvirtError(kind, `LIBVIRT_${name}`, message, { details: { metadata }, code, domain });
}

/** The late outcome of an abandoned call: done, refused, or no reply will come. */
export type LateReply =
  | { readonly kind: "done" }
  | { readonly kind: "refused"; readonly error: LibvirtError }
  | { readonly kind: "none" };

/**
 * A change was sent and got no reply in time. The daemon may be making it now, or have it in its queue. `reply` is the
 * late reply, or `none` once the connection has ended: the daemon may still make the change then, without a reply.
 */
export class OutcomeUnknown extends LibvirtError {
  readonly reply: Promise<LateReply>;

  constructor(procedure: string, why: LibvirtError, reply: Promise<LateReply>) {
    const message = `${procedure} was sent and not answered (${why.message}); ask libvirt what came of it`;
    super("outcome_unknown", "LIBVIRT_OUTCOME_UNKNOWN", message, {
      cause: why,
      details: { metadata: { procedure } },
    });
    this.reply = reply;
  }
}

/**
 * The error of a call without a reply: `why`, or `outcome_unknown` for a change that was sent, which libvirt may have
 * made.
 */
export function unanswered(
  procedure: Procedure<unknown, unknown>,
  written: boolean,
  why: LibvirtError,
  reply: Promise<LateReply> = Promise.resolve({ kind: "none" }),
): LibvirtError {
  return !written || procedure.onlyReads ? why : new OutcomeUnknown(procedure.name, why, reply);
}

/** The connection or its daemon is not available. */
export function unreachable(reason: string, message: string, cause?: unknown): LibvirtError {
  return new LibvirtError("unavailable", `LIBVIRT_${reason}`, message, {
    ...(cause === undefined ? {} : { cause }),
    details: { retryAfterMs: 1000 },
  });
}
