import { shortRun } from "./short-run.ts";

shortRun("devices", 20);
