// disks are attached, enlarged, limited, moved and detached, media changed, and guests grown, while the agent is killed at each step, and virsh changes the same VMs beside it
import { campaign } from "./campaign.ts";
import { sufferChanges } from "./device-changes.ts";

await campaign({ name: "devices", count: 500 }, (run) => sufferChanges(run));
