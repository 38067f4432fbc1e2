import { Client, credentials } from "@grpc/grpc-js";
import type { ConsoleRequest } from "../../agent/gen/socle/v1/ConsoleRequest.ts";
import type { ConsoleResponse__Output } from "../../agent/gen/socle/v1/ConsoleResponse.ts";
import { bootedMarker } from "../support/guest.ts";
import { epochOf, vmService } from "../scheduler/contract.ts";

const QUESTION = "uname -srm; echo socle-demo: $((6 * 7))";
const ANSWER = "socle-demo: 42";
const ASK_AGAIN_MS = 20_000;

/** The guest's lines until it is up; then a command over the same console, and its output. */
export async function* consoleOutput(
  apiAddress: string,
  vm: string,
  timeoutMs: number,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  const client = new Client(apiAddress, credentials.createInsecure());
  const { path, requestSerialize, responseDeserialize } = vmService.Console;
  const call = client.makeBidiStreamRequest<ConsoleRequest, ConsoleResponse__Output>(
    path,
    requestSerialize,
    responseDeserialize,
    epochOf(1),
    { deadline: Date.now() + timeoutMs },
  );
  const cancel = (): void => call.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  if (signal.aborted) cancel();
  call.write({ vm, force: true });
  let rest = "";
  const ask = (): void => void call.write({ input: Buffer.from(`${QUESTION}\r`) });
  // What a guest prints before its console is open is lost, so it is also asked unseen.
  const again = setInterval(ask, ASK_AGAIN_MS);
  let isUp = false;
  try {
    for await (const message of call as AsyncIterable<ConsoleResponse__Output>) {
      const lines = (rest + message.output.toString("latin1")).split(/\r*\n/);
      rest = lines.pop() ?? "";
      for (const line of lines.map(printable).filter((text) => text !== "")) {
        yield line;
        if (line.startsWith(ANSWER)) return;
        if (!isUp && line.includes(bootedMarker)) {
          isUp = true;
          clearInterval(again);
          ask();
        }
      }
    }
    throw new Error("the guest's console ended before it was up");
  } finally {
    clearInterval(again);
    signal.removeEventListener("abort", cancel);
    call.on("error", () => undefined);
    call.cancel();
    client.close();
  }
}

/** A guest's output reaches a user's terminal, so control sequences are removed. */
function printable(line: string): string {
  // oxlint-disable-next-line no-control-regex -- removing control characters is what it is for
  return line.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]|[\u0000-\u001f\u007f]/g, "").trim();
}
