import { deviceBugs, growthBugs } from "./device-bugs.ts";
import { lifeOfADisk, sufferChanges } from "./device-changes.ts";
import type { Change } from "./device-victim.ts";
import { findsPlanted } from "./planted-run.ts";

findsPlanted("devices", lifeOfADisk.length - 1, deviceBugs, (run, bundle) => sufferChanges(run, { bundle }));

const growth: readonly Change[] = ["ATTACH", "GROW"];
findsPlanted("devices, of a guest that grows,", growth.length, growthBugs, (run, bundle) =>
  sufferChanges(run, { bundle, guests: ["runs"], life: growth }),
);
