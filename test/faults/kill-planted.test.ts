import { killBugs } from "./kill-bugs.ts";
import { sufferDeaths, wholeLives } from "./kill-play.ts";
import { findsPlanted } from "./planted-run.ts";

findsPlanted("kill", wholeLives, killBugs, sufferDeaths);
