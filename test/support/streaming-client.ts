// A client that holds every kind of stream the agent has, to be killed: SOCKET VM
//
// Prints a line for each stream that has sent its first message.
import { fileURLToPath } from "node:url";
import { connect } from "../../agent/cli/client.ts";

const [socket = "", vm = ""] = process.argv.slice(2);
const protoDirectory = fileURLToPath(new URL("../../proto", import.meta.url));
const client = await connect({ kind: "socket", path: socket }, protoDirectory, new AbortController().signal);
const { contract } = client;

async function hold(name: string, messages: AsyncIterable<unknown>): Promise<void> {
  let isFirst = true;
  for await (const _message of messages) {
    if (isFirst) console.log(name);
    isFirst = false;
  }
}

const vmConsole = client.open(contract.vms.Console);
vmConsole.write({ vm, input: Buffer.from("\n") });
await Promise.all([
  hold("vms", client.watch(contract.vms.WatchVms, {})),
  hold("host", client.watch(contract.host.WatchHost, {})),
  hold("events", client.watch(contract.events.Subscribe, {})),
  hold("operations", client.watch(contract.operations.WatchOperations, {})),
  hold("console", vmConsole),
]);
