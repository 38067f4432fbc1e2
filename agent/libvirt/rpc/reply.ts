import { inSlices } from "../../kernel/concurrency/slice.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { PendingCall } from "./call.ts";
import { libvirtError, remoteError } from "./errors.ts";
import { decodeWhole, FrameStatus, FrameType, type Frame } from "./frame.ts";
import { stepsOf, type XdrError } from "./xdr.ts";

/** Settles the call with what the frame says. */
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

/** As settle(): the readings of a thousand guests are megabytes, and decoded at once would hold the event loop up. */
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

function withDescriptors({ procedure }: PendingCall): SocleError {
  const message = `libvirt answered ${procedure.name} with file descriptors, which Node cannot receive; they are closed`;
  return new SocleError("unsupported", "LIBVIRT_DESCRIPTORS_UNSUPPORTED", message);
}

function badReply(call: PendingCall, thrown: unknown): SocleError {
  const problem = thrown instanceof Error ? thrown.message : String(thrown);
  const message = `libvirt's answer to ${call.procedure.name} cannot be read: ${problem}`;
  return new SocleError("internal", "LIBVIRT_BAD_REPLY", message, { cause: thrown });
}

export function badArgument(call: PendingCall, thrown: XdrError): SocleError {
  const message = `${call.procedure.name} cannot be sent: ${thrown.message}`;
  return new SocleError("invalid", "LIBVIRT_BAD_ARGUMENT", message, {
    cause: thrown,
    details: { fields: { [thrown.path]: thrown.problem } },
  });
}
