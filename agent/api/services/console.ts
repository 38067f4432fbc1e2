import { SocleError } from "../../kernel/errors.ts";
import type { ConsoleRequest__Output } from "../../gen/socle/v1/ConsoleRequest.ts";
import type { ConsoleResponse } from "../../gen/socle/v1/ConsoleResponse.ts";
import type { ConsoleStream, ServiceDependencies } from "./dependencies.ts";

/**
 * A guest's console for one caller. The first message opens it, later ones are typed into it at the guest's pace; it ends
 * when the caller, the guest or libvirt ends it.
 */
export async function* runConsole(
  vms: ServiceDependencies["vms"],
  requests: AsyncIterable<ConsoleRequest__Output>,
  signal: AbortSignal,
): AsyncGenerator<ConsoleResponse, void, undefined> {
  const messages = requests[Symbol.asyncIterator]();
  const first = await messages.next();
  if (first.done === true || first.value.vm === "") {
    throw new SocleError("invalid", "VM_MISSING", "the first message must name the VM", {
      details: { fields: { vm: "must be given in the first message" } },
    });
  }
  const { vm, force, input } = first.value;
  const console = await vms.openConsole(vm, { force }, signal);
  const typing: { ended?: boolean; failure?: unknown } = {};
  // When the input ends, the console is closed, which ends the loop below. Neither of these throws.
  void typeAll(console, input, messages)
    .then(
      () => (typing.ended = true),
      (thrown: unknown) => (typing.failure = thrown),
    )
    .then(() => console.abort());
  try {
    for await (const output of console) yield { output: Buffer.from(output) };
  } catch (thrown) {
    if (typing.ended !== true) throw typing.failure ?? thrown;
  } finally {
    await console.abort();
  }
}

async function typeAll(
  console: ConsoleStream,
  first: Buffer,
  messages: AsyncIterator<ConsoleRequest__Output, unknown>,
): Promise<void> {
  if (first.length > 0) await console.write(first);
  for (;;) {
    const next = await messages.next();
    if (next.done === true) return;
    if (next.value.input.length > 0) await console.write(next.value.input);
  }
}
