// a disk is snapshotted, backed up, reverted, moved and restored, while the agent, libvirtd and QEMU are killed and its pool fills
import { campaign } from "./campaign.ts";
import { sufferChain } from "./chain-play.ts";

await campaign({ name: "chain", count: 500 }, (run) => sufferChain(run));
