import { inSlices } from "../internal/slices.ts";
import { LibvirtError } from "../internal/errors.ts";
import type { PendingCall } from "./call.ts";
import { libvirtError, remoteError } from "./errors.ts";
import { decodeWhole, FrameStatus, FrameType, type Frame } from "./frame.ts";
import { stepsOf, type XdrError } from "./xdr.ts";

/** Settles the call with the frame's reply. */
export function settle(call: PendingCall, frame: Frame): void {
  try {
    if (frame.status === FrameStatus.ERROR) {
      call.fail(libvirtError(decodeWhole(remoteError, frame), call.procedure.name));
    } else if (frame.type === FrameType.REPLY_WITH_FDS) {
      call.fail(withDescriptors(call));
    } else {
      call.succeed(decodeWhole(call.procedure.result, frame));
    }
  } catch (thrown) {
    call.lose(badReply(call, thrown));
  }
}

/** As settle(), in slices: decoding the statistics of a thousand guests at once would block the event loop. */
export async function settleInSlices(call: PendingCall, frame: Frame): Promise<void> {
  if (frame.status === FrameStatus.ERROR || frame.type === FrameType.REPLY_WITH_FDS) {
    settle(call, frame);
    return;
  }
  try {
    const value = await inSlices(stepsOf(call.procedure.result, frame.body));
    frame.body.finish();
    call.succeed(value);
  } catch (thrown) {
    call.lose(badReply(call, thrown));
  }
}

function withDescriptors({ procedure }: PendingCall): LibvirtError {
  const message = `libvirt answered ${procedure.name} with file descriptors, which Node cannot receive; they are closed`;
  return new LibvirtError("unsupported", "LIBVIRT_DESCRIPTORS_UNSUPPORTED", message);
}

function badReply(call: PendingCall, thrown: unknown): LibvirtError {
  const problem = thrown instanceof Error ? thrown.message : String(thrown);
  const message = `libvirt's answer to ${call.procedure.name} cannot be read: ${problem}`;
  return new LibvirtError("internal", "LIBVIRT_BAD_REPLY", message, { cause: thrown });
}

export function badArgument(call: PendingCall, thrown: XdrError): LibvirtError {
  const message = `${call.procedure.name} cannot be sent: ${thrown.message}`;
  return new LibvirtError("invalid", "LIBVIRT_BAD_ARGUMENT", message, {
    cause: thrown,
    details: { fields: { [thrown.path]: thrown.problem } },
  });
}
