// a disk is snapshotted, backed up, reverted, moved and restored, while the agent, libvirtd and QEMU are killed and its pool fills
// --faults NAME,...: these alone, of agent, libvirtd, qemu and pool; a name that stands twice strikes twice as often
import { campaign } from "./campaign.ts";
import { chainFaults } from "./chain-faults.ts";
import { sufferChain } from "./chain-play.ts";

const at = process.argv.indexOf("--faults");
const names = at === -1 ? chainFaults : (process.argv[at + 1] ?? "").split(",");
const faults = names.map((name) => {
  const fault = chainFaults.find((known) => known === name);
  if (fault === undefined) throw new Error(`--faults takes ${[...new Set(chainFaults)].join(", ")}`);
  return fault;
});

await campaign({ name: "chain", count: 500 }, (run) => sufferChain(run, { faults }));
