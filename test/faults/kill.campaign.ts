// the agent is killed in operations of VMs and volumes: at every boundary of its journal, at calls, at any moment, or stopped
import { campaign } from "./campaign.ts";
import { sufferDeaths } from "./kill-play.ts";

await campaign({ name: "kill", count: 1000 }, (run) => sufferDeaths(run));
