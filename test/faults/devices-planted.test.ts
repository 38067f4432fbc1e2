import { deviceBugs } from "./device-bugs.ts";
import { lifeOfADisk, sufferChanges } from "./device-changes.ts";
import { findsPlanted } from "./planted-run.ts";

findsPlanted("devices", lifeOfADisk.length, deviceBugs, sufferChanges);
