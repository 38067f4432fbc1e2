// images come from troubled and hostile servers while the agent is killed, and creations over them race with deletions
import { campaign } from "./campaign.ts";
import { sufferImages } from "./image-play.ts";

await campaign({ name: "image", count: 500 }, (run) => sufferImages(run));
