import type { ClientDuplexStream } from "@grpc/grpc-js";
import type { ConsoleRequest } from "../../gen/socle/v1/ConsoleRequest.ts";
import type { ConsoleResponse__Output } from "../../gen/socle/v1/ConsoleResponse.ts";
import { printable } from "../format.ts";
import type { Command, Session } from "../session.ts";

/** Ctrl-], as in telnet and virsh. */
const escape = 0x1d;

/**
 * Connects the terminal to a guest's serial console until Ctrl-], the VM's end or an interrupt. Keys go to the guest
 * unchanged; the terminal is always restored. Input that is not a terminal is sent to its end, and output continues.
 */
export const vmConsole: Command = async (session, [vm = ""], options) => {
  const agent = await session.agent();
  const stream = agent.open(agent.contract.vms.Console);
  stream.write({ vm, force: options.force === true });
  const { stdin } = session.io;
  const terminal = stdin.isTTY === true;
  if (terminal) session.note(`Console of ${printable(vm)}; Ctrl-] leaves.`);
  const restore = (): void => void stdin.setRawMode?.(false);
  if (terminal) {
    stdin.setRawMode?.(true);
    process.once("exit", restore);
  }
  try {
    await relay(session, stream);
    if (terminal) session.note("\r\nLeft the console.\r");
  } catch (thrown) {
    throw agent.failure(thrown);
  } finally {
    if (terminal) {
      restore();
      process.off("exit", restore);
    }
    stream.on("error", () => undefined);
    stream.cancel();
  }
};

function relay(
  session: Session,
  stream: ClientDuplexStream<ConsoleRequest, ConsoleResponse__Output>,
): Promise<void> {
  const { stdin, stdout } = session.io;
  return new Promise<void>((resolve, reject) => {
    const onInput = (keys: Buffer): void => {
      const end = stdin.isTTY === true ? keys.indexOf(escape) : -1;
      const input = end === -1 ? keys : keys.subarray(0, end);
      if (input.length > 0 && !stream.write({ input })) {
        stdin.pause();
        stream.once("drain", () => stdin.resume());
      }
      if (end !== -1) finish();
    };
    const finish = (error?: Error): void => {
      stdin.off("data", onInput).pause();
      session.interrupt.removeEventListener("abort", onInterrupt);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onInterrupt = (): void => finish();
    stream.on("data", ({ output }: ConsoleResponse__Output) => {
      if (stdout.write(output)) return;
      stream.pause();
      stdout.once("drain", () => stream.resume());
    });
    stream.once("end", () => finish());
    stream.once("error", finish);
    session.interrupt.addEventListener("abort", onInterrupt, { once: true });
    stdin.on("data", onInput);
  });
}
