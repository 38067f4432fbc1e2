import { shortRun } from "./short-run.ts";

shortRun("disk", 8);
